package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"syscall"

	"github.com/havenmq/havenmq/interop/faults/forgetful"
)

// volumeKind says what a node's data directory lies on.
type volumeKind int

const (
	plainVolume     volumeKind = iota // a directory of the machine's
	smallVolume                       // an ext4 of smallVolumeBytes
	forgetfulVolume                   // a disk that loses what was not synced when its power goes
)

// smallVolumeBytes holds the reserve of 16 MiB, and what producers store in half a minute.
const smallVolumeBytes = 192 << 20

// volume is what a node's data directory lies on. One goroutine uses it.
type volume struct {
	kind    volumeKind
	dir     string // the data directory
	forgets *forgetful.Disk
	unmount func() error // nil: nothing is mounted
}

// makeVolume makes the data directory, empty.
func makeVolume(kind volumeKind, dir string) (*volume, error) {
	v := &volume{kind: kind, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	switch kind {
	case smallVolume:
		image := dir + ".ext4"
		v.unmount = func() error { return errors.Join(run("umount "+dir), os.Remove(image)) }
		return v, errors.Join(writeFile(image, ""), os.Truncate(image, smallVolumeBytes), run("mkfs.ext4 -q -m 0 "+image, "mount -o loop "+image+" "+dir))
	case forgetfulVolume:
		v.forgets = forgetful.NewDisk()
		var err error
		v.unmount, err = v.forgets.Mount(dir)
		return v, err
	}
	return v, nil
}

// end removes the data. Nobody uses it any more.
func (v *volume) end() error {
	if v.unmount != nil {
		if err := v.unmount(); err != nil {
			return err
		}
	}
	return os.RemoveAll(v.dir)
}

// fill takes all room that is left; free gives it back.
func (v *volume) fill() error {
	f, err := os.OpenFile(v.filler(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	for b := bytes.Repeat([]byte{1}, 1<<20); len(b) > 0; { // as large pieces as fit
		if _, err = f.Write(b); errors.Is(err, syscall.ENOSPC) {
			b, err = b[:len(b)/2], nil
		}
		if err != nil {
			break
		}
	}
	return errors.Join(err, f.Close())
}

func (v *volume) free() error { return os.Remove(v.filler()) }

func (v *volume) filler() string { return filepath.Join(v.dir, "filler") }

// prepare makes the node's directory and the one of its data.
func (n *node) prepare(kind volumeKind) (err error) {
	n.volume, err = makeVolume(kind, filepath.Join(n.dir, "data"))
	return errors.Join(err, n.newBoot())
}

// powerLoss is that of the node's machine: the process is gone, its disk forgets, and the machine's next boot is another one.
func (n *node) powerLoss(how forgetful.Loss, rng *rand.Rand) (forgetful.Forgotten, error) {
	n.kill()
	lost := n.volume.forgets.PowerLoss(how, rng)
	return lost, n.newBoot()
}

// bootFile stands in for the kernel's name of the machine's boot, which all our machines share.
func (n *node) bootFile() string { return filepath.Join(n.dir, "boot_id") }

// newBoot gives the machine's boot a new name.
func (n *node) newBoot() error {
	n.boots++
	return writeFile(n.bootFile(), fmt.Sprintf("00000000-0000-4000-8000-%04d%08d\n", n.id, n.boots))
}

// bootNamed are the words that run a program on a machine whose boot has its name.
func (n *node) bootNamed() []string {
	return []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, n.bootFile()}
}
