package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	jitterDevice = "jitter"
	jitterMark   = 7
	jitterQueue  = 10_000 // packets that are on their way
	packetBytes  = 1 << 16
)

// jitter delays what a host sends, each packet by a time of its own, so that they also arrive out of order. Not every kernel has
// netem, so it is done here: the host's packets go into a tunnel to this process, which sends each one on when its time has come.
//
//	the host's sockets ─► route ─► tunnel ─► here, up to most later ─► raw socket with a mark ─► route of the mark ─► eth0
type jitter struct {
	h      *host
	tunnel *os.File
	raw    int
}

// newJitter begins to delay what a host sends to its network, by most at the most. The watcher's address is left out.
func newJitter(h *host, most time.Duration) (*jitter, error) {
	j := &jitter{h: h}
	if err := h.do(j.open); err != nil {
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	if err := run(
		h.inside("ip link set "+jitterDevice+" up"),
		h.inside("ip route add default dev eth0 table "+fmt.Sprint(jitterMark)),
		h.inside(fmt.Sprintf("ip rule add fwmark %d lookup %d", jitterMark, jitterMark)),
		h.inside("ip route add "+watcherAddr+" dev eth0"),
		h.inside("ip route replace 10.77.0.0/24 dev "+jitterDevice+" src "+h.addr),
	); err != nil {
		return nil, errors.Join(err, j.end())
	}
	go j.forward(most)
	return j, nil
}

// do runs f on a thread that is in the host's network namespace, and ends with it.
func (h *host) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is of no use to others
		ns, err := os.Open("/run/netns/" + h.name)
		if err == nil {
			err = errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET), ns.Close())
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// open makes the tunnel and the raw socket.
func (j *jitter) open() (err error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var request struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], jitterDevice)
	request.flags = unix.IFF_TUN | unix.IFF_NO_PI
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request))); no != 0 {
		return errors.Join(no, unix.Close(fd))
	}
	j.tunnel = os.NewFile(uintptr(fd), "tunnel")
	if j.raw, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		return errors.Join(err, j.tunnel.Close())
	}
	return unix.SetsockoptInt(j.raw, unix.SOL_SOCKET, unix.SO_MARK, jitterMark)
}

// forward sends each packet on after a while. It ends with the tunnel.
func (j *jitter) forward(most time.Duration) {
	under := make(chan struct{}, jitterQueue)
	for {
		b := make([]byte, packetBytes)
		n, err := j.tunnel.Read(b)
		if err != nil {
			return
		}
		if b = b[:n:n]; n < 20 || b[0]>>4 != 4 {
			continue // not IPv4
		}
		select {
		case under <- struct{}{}:
		default:
			continue // a full queue drops
		}
		time.AfterFunc(rand.N(most), func() {
			<-under
			to := unix.SockaddrInet4{}
			copy(to.Addr[:], net.IP(b[16:20]))
			_ = unix.Sendto(j.raw, b, 0, &to) // what cannot be sent is lost, as on any network
		})
	}
}

// end sends packets without delay again.
func (j *jitter) end() error {
	err := run(
		j.h.inside("ip route replace 10.77.0.0/24 dev eth0 src "+j.h.addr),
		j.h.inside("ip route del "+watcherAddr+" dev eth0"),
		j.h.inside(fmt.Sprintf("ip rule del fwmark %d", jitterMark)),
		j.h.inside(fmt.Sprintf("ip route flush table %d", jitterMark)),
	)
	return errors.Join(err, j.tunnel.Close(), syscall.Close(j.raw)) // packets that are still on their way are lost
}
