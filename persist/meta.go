package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"sync"
)

// Meta is what a node must remember beside its log (ha.md 4.1).
type Meta struct {
	ClusterID  ID
	NodeID     ID
	ReplAddr   string // as advertised, at most MaxMetaText bytes
	BootID     string // of the machine's boot under which the node ran last
	MasterAddr string // last known, to boot without ZooKeeper
	Promised   uint64 // no epoch below it is accepted
	Voter      bool
	Clean      bool // stopped in good order: all of the log is synced
	Drained    bool // it is to leave leading to others, by an operator's word
	MemAcked   bool // bytes may have counted before they were synced
	CommitHint Pos  // the log is committed at least to here, and was synced to here
	LogStart   Pos  // segments below it are ignored
	TrimAt     Pos  // of the TRIM that said so
	Config     []byte
}

// Bounds of what a slot holds.
const (
	MaxMetaText   = 256
	MaxMetaConfig = 2048
)

const (
	metaName      = "meta"
	metaSlotBytes = 4096
	metaMagic     = "HavenMta"
	metaVersion   = 1

	metaVoter    = 1
	metaClean    = 2
	metaMemAcked = 4
	metaDrained  = 8
)

func (m *Meta) encode(seq uint64) ([]byte, error) {
	if len(m.ReplAddr) > MaxMetaText || len(m.BootID) > MaxMetaText || len(m.MasterAddr) > MaxMetaText || len(m.Config) > MaxMetaConfig {
		return nil, fmt.Errorf("meta: a text of more than %d bytes or a config of more than %d", MaxMetaText, MaxMetaConfig)
	}
	b := make([]byte, metaSlotBytes)
	le := binary.LittleEndian
	copy(b, metaMagic)
	le.PutUint32(b[8:], metaVersion)
	le.PutUint32(b[12:], m.flags())
	le.PutUint64(b[16:], seq)
	copy(b[24:40], m.ClusterID[:])
	copy(b[40:56], m.NodeID[:])
	le.PutUint64(b[56:], m.Promised)
	le.PutUint64(b[64:], uint64(m.CommitHint))
	le.PutUint64(b[72:], uint64(m.LogStart))
	le.PutUint64(b[80:], uint64(m.TrimAt))
	at := 88
	for _, s := range [][]byte{[]byte(m.ReplAddr), []byte(m.BootID), []byte(m.MasterAddr), m.Config} {
		le.PutUint16(b[at:], uint16(len(s)))
		at += 2 + copy(b[at+2:], s)
	}
	sealMeta(b)
	return b, nil
}

func sealMeta(b []byte) {
	binary.LittleEndian.PutUint32(b[metaSlotBytes-4:], crc32.Checksum(b[:metaSlotBytes-4], castagnoli))
}

// unclean says that bytes which counted may be gone: they were not synced when the machine went down (ha.md 4.2).
func (m *Meta) unclean(boot string) bool { return m.MemAcked && !m.Clean && m.BootID != boot }

func (m *Meta) flags() (f uint32) {
	if m.Voter {
		f |= metaVoter
	}
	if m.Clean {
		f |= metaClean
	}
	if m.MemAcked {
		f |= metaMemAcked
	}
	if m.Drained {
		f |= metaDrained
	}
	return f
}

// decodeMeta reads a slot, of metaSlotBytes. ok is false if it holds none that was written whole.
func decodeMeta(b []byte) (m Meta, seq uint64, ok bool) {
	le := binary.LittleEndian
	if string(b[:8]) != metaMagic || le.Uint32(b[8:]) != metaVersion ||
		le.Uint32(b[metaSlotBytes-4:]) != crc32.Checksum(b[:metaSlotBytes-4], castagnoli) {
		return m, 0, false
	}
	f := le.Uint32(b[12:])
	m.Voter, m.Clean, m.MemAcked, m.Drained = f&metaVoter != 0, f&metaClean != 0, f&metaMemAcked != 0, f&metaDrained != 0
	copy(m.ClusterID[:], b[24:40])
	copy(m.NodeID[:], b[40:56])
	m.Promised, m.CommitHint = le.Uint64(b[56:]), Pos(le.Uint64(b[64:]))
	m.LogStart, m.TrimAt = Pos(le.Uint64(b[72:])), Pos(le.Uint64(b[80:]))
	rest := b[88 : metaSlotBytes-4]
	text := func(limit int) []byte {
		n := int(le.Uint16(rest))
		if n > limit || n+4 > len(rest) {
			ok = false
			return nil
		}
		s := rest[2 : 2+n]
		rest = rest[2+n:]
		return s
	}
	ok = f&^(metaVoter|metaClean|metaMemAcked|metaDrained) == 0
	m.ReplAddr, m.BootID, m.MasterAddr = string(text(MaxMetaText)), string(text(MaxMetaText)), string(text(MaxMetaText))
	m.Config = append([]byte(nil), text(MaxMetaConfig)...)
	return m, le.Uint64(b[16:]), ok
}

// metaFile keeps a Meta in two preallocated slots, written in turn, so that a torn write leaves the other and a full disk
// does not matter. Its lock is the one lock of this package that is held over I/O: it orders the file's writers, and no
// message's way goes through it.
type metaFile struct {
	write sync.Mutex // held over I/O; before mu
	file  File
	seq   uint64

	mu  sync.Mutex
	now Meta
}

// openMeta reads dir's meta, and makes sure that what it read is on disk: a process that was killed may have written it and
// not synced it, and what follows from it (a promise, files to unlink) must not outlive it. fs.ErrNotExist is a directory that has none; a *DamageError one that cannot be read.
func openMeta(fsys FS, dir string) (*metaFile, error) {
	name := path.Join(dir, metaName)
	f, err := fsys.OpenReadWrite(name)
	if err != nil {
		return nil, err
	}
	out := &metaFile{file: f}
	if out.now, out.seq, err = readMeta(f, name); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), fsys.SyncDir(dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("syncing %s: %w", name, err), f.Close())
	}
	return out, nil
}

// readMeta returns the newer slot. A *DamageError says that neither is whole.
func readMeta(f File, name string) (m Meta, seq uint64, err error) {
	b := make([]byte, 2*metaSlotBytes)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return m, 0, fmt.Errorf("reading %s: %w", name, err)
	}
	for i := range 2 {
		if slot, n, ok := decodeMeta(b[i*metaSlotBytes : (i+1)*metaSlotBytes]); ok && n > seq {
			m, seq = slot, n
		}
	}
	if seq == 0 {
		return m, 0, &DamageError{File: name, Expected: "one of two slots with a checksum that holds",
			Advice: "this node cannot know what it promised; start it with an empty directory, so that it takes its seat anew"}
	}
	return m, seq, nil
}

// createMeta makes dir's meta anew, atomically.
func createMeta(fsys FS, dir string, m Meta) (_ *metaFile, err error) {
	name := path.Join(dir, metaName)
	f, err := fsys.Create(name + ".tmp")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("creating %s: %w", name, err), f.Close())
		}
	}()
	if err = f.Preallocate(2 * metaSlotBytes); err != nil {
		return nil, err
	}
	out := &metaFile{file: f}
	if err = out.update(func(now *Meta) { *now = m }); err != nil {
		return nil, err
	}
	if err = fsys.Rename(name+".tmp", name); err != nil {
		return nil, err
	}
	return out, fsys.SyncDir(dir)
}

func (f *metaFile) get() Meta {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// update changes the meta and returns once it is on disk. After an error its state on disk is unknown.
func (f *metaFile) update(change func(*Meta)) error {
	f.write.Lock()
	defer f.write.Unlock()
	m := f.get()
	change(&m)
	b, err := m.encode(f.seq + 1)
	if err != nil {
		return err
	}
	f.seq++
	if _, err := f.file.WriteAt(b, int64(f.seq%2)*metaSlotBytes); err != nil {
		return fmt.Errorf("writing meta: %w", err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("syncing meta: %w", err)
	}
	f.mu.Lock()
	f.now = m
	f.mu.Unlock()
	return nil
}

func (f *metaFile) close() error { return f.file.Close() }
