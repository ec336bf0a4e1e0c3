package forgetful

import (
	"maps"
	"math/rand"
	"slices"
	"sync"
	"syscall"
	"time"
)

const pageBytes = 4096

// Disk is a tree of files, as programs see it and as it would be found after a power loss. Any goroutine may call.
type Disk struct {
	mu      sync.Mutex
	root    *directory
	journal []change // of directories, not yet durable, oldest first
	last    uint64   // number that was given out last

	slowMu sync.Mutex
	slow   time.Duration // what a sync takes at least
	faster chan struct{} // closed when slow changes: who waits looks again
}

// node is a file or a directory. Its number is never given out again.
type node interface{ number() uint64 }

type file struct {
	ino   uint64
	data  []byte             // as programs see it
	kept  []byte             // as the disk holds it
	dirty map[int64]struct{} // pages of data that kept lacks
}

type directory struct {
	ino   uint64
	names map[string]node
	kept  map[string]node
}

func (f *file) number() uint64      { return f.ino }
func (d *directory) number() uint64 { return d.ino }

// change is one to directories' names: a name goes, another comes, or both at once.
type change struct {
	from   *directory // nil: none goes
	gone   string
	to     *directory // nil: none comes
	come   string
	target node
}

// NewDisk makes an empty one.
func NewDisk() *Disk {
	d := &Disk{faster: make(chan struct{})}
	d.root = d.newDirectory()
	return d
}

func (d *Disk) newDirectory() *directory {
	d.last++
	return &directory{ino: d.last, names: map[string]node{}, kept: map[string]node{}}
}

func (d *Disk) newFile() *file {
	d.last++
	return &file{ino: d.last, dirty: map[int64]struct{}{}}
}

// do makes a change that programs see at once.
func (d *Disk) do(c change) {
	c.apply(func(x *directory) map[string]node { return x.names })
	d.journal = append(d.journal, c)
}

func (c *change) apply(names func(*directory) map[string]node) {
	if c.from != nil {
		delete(names(c.from), c.gone)
	}
	if c.to != nil {
		names(c.to)[c.come] = c.target
	}
}

func kept(x *directory) map[string]node { return x.kept }

// Slow has each sync take at least a time. Syncs that are under way are held to it too.
func (d *Disk) Slow(by time.Duration) {
	d.slowMu.Lock()
	defer d.slowMu.Unlock()
	close(d.faster)
	d.slow, d.faster = by, make(chan struct{})
}

// drag is what a sync waits for first. mu is not held.
func (d *Disk) drag() {
	for began := time.Now(); ; {
		d.slowMu.Lock()
		slow, faster := d.slow, d.faster
		d.slowMu.Unlock()
		rest := slow - time.Since(began)
		if rest <= 0 {
			return
		}
		select {
		case <-time.After(rest):
		case <-faster:
		}
	}
}

// syncDirectory makes durable what was done to a directory, and what must come before it: a rename takes along what was done
// to the other directory until then.
func (d *Disk) syncDirectory(x *directory) {
	touched := map[*directory]bool{x: true}
	durable := make([]bool, len(d.journal))
	for i, c := range slices.Backward(d.journal) {
		if touched[c.from] || touched[c.to] {
			durable[i] = true
			touched[c.from], touched[c.to] = c.from != nil, c.to != nil
		}
	}
	var rest []change
	for i, c := range d.journal {
		if durable[i] {
			c.apply(kept)
		} else {
			rest = append(rest, c)
		}
	}
	d.journal = rest
}

// write changes a file as programs see it.
func (f *file) write(b []byte, off int64) {
	f.grow(off + int64(len(b)))
	copy(f.data[off:], b)
	for p := off / pageBytes; p*pageBytes < off+int64(len(b)); p++ {
		f.dirty[p] = struct{}{}
	}
}

func (f *file) grow(size int64) {
	if more := size - int64(len(f.data)); more > 0 {
		f.data = append(f.data, make([]byte, more)...)
	}
}

// truncate is durable with the next sync, as what is written.
func (f *file) truncate(size int64) {
	for p := size / pageBytes; p*pageBytes < int64(len(f.data)); p++ {
		f.dirty[p] = struct{}{} // zeros stand there if it grows again
	}
	f.grow(size)
	f.data = f.data[:size:size]
}

// sync makes what was written durable.
func (f *file) sync() {
	size := len(f.data)
	f.kept = resize(f.kept, size)
	for p := range f.dirty {
		f.keep(p)
	}
	clear(f.dirty)
}

func (f *file) keep(page int64) {
	at := page * pageBytes
	if at < int64(len(f.kept)) && at < int64(len(f.data)) {
		copy(f.kept[at:], f.data[at:min(at+pageBytes, int64(len(f.data)))])
	}
}

// resize returns b with size bytes; what is new is zero.
func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

// Loss is how a power loss treats what was not synced.
type Loss int

const (
	// All of it is gone.
	All Loss = iota
	// Some of it is: any page may have reached the disk, and so may the first of the changes to directories.
	Some
)

// Forgotten counts what a power loss took.
type Forgotten struct {
	Pages   int
	Changes int // of directories
}

// PowerLoss leaves what the disk holds. Files that are open lose their connection to it: they belong to programs that must be
// dead already. rng decides about Some.
func (d *Disk) PowerLoss(how Loss, rng *rand.Rand) (lost Forgotten) {
	d.mu.Lock()
	defer d.mu.Unlock()
	survive := 0
	if how == Some {
		survive = rng.Intn(len(d.journal) + 1)
	}
	for _, c := range d.journal[:survive] {
		c.apply(kept)
	}
	lost.Changes = len(d.journal) - survive
	d.journal = nil
	found := map[node]node{}
	root := d.after(d.root, how, rng, &lost, found).(*directory)
	d.root = root
	return lost
}

// after is what is found of a node after a power loss. One that has two names is found once.
func (d *Disk) after(n node, how Loss, rng *rand.Rand, lost *Forgotten, found map[node]node) node {
	if out := found[n]; out != nil {
		return out
	}
	switch n := n.(type) {
	case *directory:
		out := d.newDirectory()
		found[n] = out
		for _, name := range slices.Sorted(maps.Keys(n.kept)) {
			child := d.after(n.kept[name], how, rng, lost, found)
			out.names[name], out.kept[name] = child, child
		}
		return out
	case *file:
		for _, p := range slices.Sorted(maps.Keys(n.dirty)) {
			if how == Some && rng.Intn(2) == 0 {
				n.survive(p)
			} else {
				lost.Pages++
			}
		}
		out := d.newFile()
		out.kept = slices.Clone(n.kept)
		out.data = slices.Clone(n.kept)
		found[n] = out
		return out
	}
	return nil
}

// survive has a page reach the disk that nobody synced; the file is as long then as it must be for that.
func (f *file) survive(page int64) {
	if end := min((page+1)*pageBytes, int64(len(f.data))); end > int64(len(f.kept)) {
		f.kept = resize(f.kept, int(end))
	}
	f.keep(page)
}

// rename moves a name, in one change. The one that was called so before is gone.
func (d *Disk) rename(from *directory, name string, to *directory, newName string) syscall.Errno {
	n := from.names[name]
	if n == nil {
		return syscall.ENOENT
	}
	if old, ok := to.names[newName].(*directory); ok && len(old.names) > 0 {
		return syscall.ENOTEMPTY
	}
	d.do(change{from: from, gone: name, to: to, come: newName, target: n})
	return 0
}
