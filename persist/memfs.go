package persist

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sort"
	"sync"
	"syscall"
)

const (
	memPage   = 4096 // what a disk writes back in any order
	memSector = 512  // what it writes whole
)

// MemFS is a file system in memory that forgets what was not synced, as a disk does when the power goes. The zero value
// is not usable; NewMemFS makes one. Directories themselves always survive.
type MemFS struct {
	mu      sync.Mutex
	names   map[string]*memNode // as the running system sees them
	durable map[string]*memNode // as the disk does
	ops     []dirOp             // between the two, in order
	dirs    map[string]bool
	locks   map[string]bool
	dead    bool
	fuse    int   // changes until the power goes; 0 it stays
	room    int64 // bytes that all files together may hold; 0 no bound
}

// memNode is a file's content: as it is read, and as the disk holds it.
type memNode struct {
	data  []byte
	disk  []byte
	dirty map[int]bool // pages that differ, perhaps
}

// dirOp is a change of names that no SyncDir has made durable yet. node nil removes to; from "" creates it.
type dirOp struct {
	from, to string
	node     *memNode
}

// NewMemFS makes an empty file system.
func NewMemFS() *MemFS {
	return &MemFS{names: map[string]*memNode{}, durable: map[string]*memNode{}, dirs: map[string]bool{"/": true, ".": true}, locks: map[string]bool{}}
}

// SetRoom bounds the bytes that all files together may hold; what would pass it fails with ENOSPC. 0 is no bound.
func (m *MemFS) SetRoom(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.room = n
}

// Fuse has the power go at the n-th change from now on, in the middle of whatever is being done; 0 has it stay. Everything
// answers errors from then on, until Crash says what is left. Dead says that it has come to that.
func (m *MemFS) Fuse(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fuse = n
}

// Dead says that the power is off: by Fuse, Crash or Kill.
func (m *MemFS) Dead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// off counts a change, and says whether the power is off. The lock is held.
func (m *MemFS) off() bool {
	if m.fuse > 0 {
		m.fuse--
		m.dead = m.dead || m.fuse == 0
	}
	return m.dead
}

// Flip turns a bit of a file over, in memory and on the disk: what rots is not noticed until it is read. It says whether
// there is such a byte.
func (m *MemFS) Flip(name string, off int64, bit uint8) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[path.Clean(name)]
	if n == nil || off >= int64(len(n.data)) {
		return false
	}
	n.data[off] ^= 1 << (bit & 7)
	if off < int64(len(n.disk)) {
		n.disk[off] ^= 1 << (bit & 7)
	}
	return true
}

// Durable says that the bytes [from, to) of a file, and its name, would be there after a power loss now.
func (m *MemFS) Durable(name string, from, to int64) bool {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.durable[name]
	return n != nil && n == m.names[name] && to <= int64(min(len(n.data), len(n.disk))) && bytes.Equal(n.data[from:to], n.disk[from:to])
}

// Copy is another file system with the files of this one, as they are read; all of it is on its disk.
func (m *MemFS) Copy() *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := NewMemFS()
	out.dirs = maps.Clone(m.dirs)
	for name, n := range m.names {
		c := &memNode{data: slices.Clone(n.data), disk: slices.Clone(n.data), dirty: map[int]bool{}}
		out.names[name], out.durable[name] = c, c
	}
	return out
}

// grow says whether a file may become that much larger. The lock is held.
func (m *MemFS) grow(more int) error {
	if m.room == 0 || more <= 0 {
		return nil
	}
	used := int64(more)
	for _, n := range m.names {
		used += int64(len(n.data))
	}
	if used > m.room {
		return syscall.ENOSPC
	}
	return nil
}

// Crash cuts the power. The result is what the disk holds then: each page that was not synced is old, new or torn between
// sectors, in any combination, and so is each change of names. The old file system answers nothing but errors from now on.
func (m *MemFS) Crash(rng *rand.Rand) *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	after := NewMemFS()
	after.dirs = m.dirs
	for _, op := range m.ops {
		if rng.IntN(2) == 0 {
			m.apply(op)
		}
	}
	names := make([]string, 0, len(m.durable))
	for name := range m.durable {
		names = append(names, name)
	}
	sort.Strings(names) // so that one seed is one outcome
	done := map[*memNode]*memNode{}
	for _, name := range names {
		n := m.durable[name]
		if done[n] == nil {
			done[n] = n.crash(rng)
		}
		after.names[name], after.durable[name] = done[n], done[n]
	}
	return after
}

// Kill ends the process that used m, by which nothing is lost: the result is what the next one finds. The old file system
// answers nothing but errors from now on.
func (m *MemFS) Kill() *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	return &MemFS{names: m.names, durable: m.durable, ops: m.ops, dirs: m.dirs, locks: map[string]bool{}}
}

func (m *MemFS) apply(op dirOp) {
	if op.from != "" && m.durable[op.from] == op.node {
		delete(m.durable, op.from)
	}
	if op.node == nil {
		delete(m.durable, op.to)
		return
	}
	m.durable[op.to] = op.node
}

func (n *memNode) crash(rng *rand.Rand) *memNode {
	size := len(n.disk)
	if len(n.data) != len(n.disk) {
		lo, hi := min(len(n.data), len(n.disk)), max(len(n.data), len(n.disk))
		size = []int{lo, hi, lo + rng.IntN(hi-lo+1)}[rng.IntN(3)]
	}
	out := make([]byte, size)
	copy(out, n.disk)
	pages := make([]int, 0, len(n.dirty))
	for p := range n.dirty {
		pages = append(pages, p)
	}
	sort.Ints(pages)
	for _, p := range pages {
		mode := rng.IntN(3)
		for s := p * memPage; s < (p+1)*memPage; s += memSector {
			if mode == 1 || mode == 2 && rng.IntN(2) == 0 {
				keepNew(out, n.data, s)
			}
		}
	}
	return &memNode{data: out, disk: append([]byte(nil), out...), dirty: map[int]bool{}}
}

// keepNew makes the sector at off of out what it is in data; behind data's end it is zero.
func keepNew(out, data []byte, off int) {
	if off >= len(out) {
		return
	}
	end := min(off+memSector, len(out))
	clear(out[off:end])
	if off < len(data) {
		copy(out[off:end], data[off:])
	}
}

func (m *MemFS) fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

var errPowerOff = fmt.Errorf("the power is off")

func (m *MemFS) Create(name string) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off() {
		return nil, m.fail("create", name, errPowerOff)
	}
	if !m.dirs[path.Dir(name)] {
		return nil, m.fail("create", name, fs.ErrNotExist)
	}
	if n := m.names[name]; n != nil {
		n.resize(0)
		return &memFile{fs: m, name: name, n: n}, nil
	}
	return &memFile{fs: m, name: name, n: m.create(name)}, nil
}

func (m *MemFS) create(name string) *memNode {
	n := &memNode{dirty: map[int]bool{}}
	m.names[name] = n
	m.ops = append(m.ops, dirOp{to: name, node: n})
	return n
}

func (m *MemFS) Open(name string) (File, error)          { return m.open(name, true) }
func (m *MemFS) OpenReadWrite(name string) (File, error) { return m.open(name, false) }

func (m *MemFS) open(name string, readOnly bool) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, m.fail("open", name, errPowerOff)
	}
	n := m.names[name]
	if n == nil {
		return nil, m.fail("open", name, fs.ErrNotExist)
	}
	return &memFile{fs: m, name: name, n: n, readOnly: readOnly}, nil
}

func (m *MemFS) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off() {
		return m.fail("rename", from, errPowerOff)
	}
	n := m.names[from]
	if n == nil || !m.dirs[path.Dir(to)] {
		return m.fail("rename", from, fs.ErrNotExist)
	}
	delete(m.names, from)
	m.names[to] = n
	m.ops = append(m.ops, dirOp{from: from, to: to, node: n})
	return nil
}

func (m *MemFS) Remove(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off() {
		return m.fail("remove", name, errPowerOff)
	}
	if m.names[name] == nil {
		return m.fail("remove", name, fs.ErrNotExist)
	}
	delete(m.names, name)
	m.ops = append(m.ops, dirOp{to: name})
	return nil
}

func (m *MemFS) List(dir string) ([]string, error) {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, m.fail("list", dir, errPowerOff)
	}
	if !m.dirs[dir] {
		return nil, m.fail("list", dir, fs.ErrNotExist)
	}
	var out []string
	for name := range m.names {
		if path.Dir(name) == dir {
			out = append(out, path.Base(name))
		}
	}
	for name := range m.dirs {
		if name != dir && path.Dir(name) == dir {
			out = append(out, path.Base(name))
		}
	}
	sort.Strings(out)
	return out, nil
}

func (m *MemFS) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return m.fail("mkdir", dir, errPowerOff)
	}
	for dir = path.Clean(dir); !m.dirs[dir]; dir = path.Dir(dir) {
		m.dirs[dir] = true
	}
	return nil
}

func (m *MemFS) SyncDir(dir string) error {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off() {
		return m.fail("sync", dir, errPowerOff)
	}
	if !m.dirs[dir] {
		return m.fail("sync", dir, fs.ErrNotExist)
	}
	kept := m.ops[:0]
	for _, op := range m.ops {
		if path.Dir(op.to) == dir || op.from != "" && path.Dir(op.from) == dir {
			m.apply(op)
		} else {
			kept = append(kept, op)
		}
	}
	m.ops = kept
	return nil
}

func (m *MemFS) Lock(name string) (io.Closer, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead || m.locks[name] {
		return nil, m.fail("lock", name, fs.ErrExist)
	}
	m.locks[name] = true
	if m.names[name] == nil {
		m.create(name)
	}
	return memLock{m, name}, nil
}

type memLock struct {
	fs   *MemFS
	name string
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}
