package persist

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"syscall"
	"testing"
)

// The three file systems keep one contract.
func TestFileSystemsAgree(t *testing.T) {
	for name, newFS := range map[string]func(t *testing.T) (FS, string){
		"os":    func(t *testing.T) (FS, string) { return OSFS{}, t.TempDir() },
		"mem":   func(*testing.T) (FS, string) { return NewMemFS(), "/" },
		"fault": func(*testing.T) (FS, string) { return NewFaultFS(NewMemFS()), "/" },
	} {
		t.Run(name, func(t *testing.T) {
			for what, check := range map[string]func(*testing.T, FS, string){
				"missing": checkMissing, "content": checkContent, "sizes": checkSizes, "names": checkNames,
				"handles": checkHandles, "lock": checkLock,
			} {
				t.Run(what, func(t *testing.T) {
					fsys, root := newFS(t)
					dir := path.Join(root, "a", "b")
					for range 2 {
						if err := fsys.MkdirAll(dir); err != nil {
							t.Fatal(err)
						}
					}
					check(t, fsys, dir)
				})
			}
		})
	}
}

func must(t *testing.T) func(File, error) File {
	return func(f File, err error) File {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

func all(t *testing.T, f File) []byte {
	t.Helper()
	size, err := f.Size()
	b := make([]byte, size)
	n, err2 := f.ReadAt(b, 0)
	if err != nil || n != len(b) || err2 != nil && !errors.Is(err2, io.EOF) {
		t.Fatal(n, err, err2)
	}
	return b
}

func checkMissing(t *testing.T, fsys FS, dir string) {
	no := path.Join(dir, "no")
	_, create := fsys.Create(path.Join(no, "x"))
	_, open := fsys.Open(no)
	_, write := fsys.OpenReadWrite(no)
	_, list := fsys.List(no)
	for what, err := range map[string]error{"create": create, "open": open, "open to write": write, "list": list,
		"remove": fsys.Remove(no), "rename": fsys.Rename(no, path.Join(dir, "x")), "sync": fsys.SyncDir(no)} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func checkContent(t *testing.T, fsys FS, dir string) {
	name := path.Join(dir, "x")
	f := must(t)(fsys.Create(name))
	if n, err := f.WriteAt([]byte("hello"), 3); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if got := all(t, f); string(got) != "\x00\x00\x00hello" {
		t.Errorf("%q", got)
	}
	b := make([]byte, 4)
	if n, err := f.ReadAt(b, 6); n != 2 || err != io.EOF {
		t.Errorf("a short read: %d %v", n, err)
	}
	if n, err := f.ReadAt(b, 100); n != 0 || err != io.EOF {
		t.Errorf("a read behind the end: %d %v", n, err)
	}
	r := must(t)(fsys.Open(name))
	if got := all(t, r); string(got) != "\x00\x00\x00hello" {
		t.Errorf("another handle: %q", got)
	}
	if _, err := r.WriteAt([]byte("x"), 0); err == nil {
		t.Error("written through a handle to read")
	}
	w := must(t)(fsys.OpenReadWrite(name))
	if _, err := w.WriteAt([]byte("J"), 3); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Sync(), f.Sync()); err != nil {
		t.Fatal(err)
	}
	if got := all(t, r); string(got) != "\x00\x00\x00Jello" {
		t.Errorf("after a second writer: %q", got)
	}
	again := must(t)(fsys.Create(name))
	if size, _ := again.Size(); size != 0 {
		t.Errorf("created anew with %d bytes", size)
	}
	if err := errors.Join(f.Close(), r.Close(), w.Close(), again.Close()); err != nil {
		t.Error(err)
	}
}

func checkSizes(t *testing.T, fsys FS, dir string) {
	f := must(t)(fsys.Create(path.Join(dir, "x")))
	defer f.Close()
	if _, err := f.WriteAt([]byte("abc"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Preallocate(10000); err != nil {
		t.Fatal(err)
	}
	want := append([]byte("abc"), make([]byte, 9997)...)
	if got := all(t, f); !bytes.Equal(got, want) {
		t.Errorf("preallocated: %d bytes", len(got))
	}
	if err := f.Preallocate(5); err != nil {
		t.Fatal(err)
	}
	if size, _ := f.Size(); size != 10000 {
		t.Errorf("less preallocated: %d", size)
	}
	if _, err := f.WriteAt([]byte("end"), 9000); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(2), f.Truncate(9500)); err != nil {
		t.Fatal(err)
	}
	if got := all(t, f); !bytes.Equal(got, append([]byte("ab"), make([]byte, 9498)...)) {
		t.Error("what was cut off came back")
	}
}

func checkNames(t *testing.T, fsys FS, dir string) {
	for _, name := range []string{"b", "a", "c"} {
		f := must(t)(fsys.Create(path.Join(dir, name)))
		if _, err := f.WriteAt([]byte(name), 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := fsys.MkdirAll(path.Join(dir, "sub", "deep")); err != nil {
		t.Fatal(err)
	}
	if err := fsys.Rename(path.Join(dir, "a"), path.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
	names, err := fsys.List(dir)
	if err != nil || !slices.Equal(names, []string{"b", "c", "sub"}) {
		t.Errorf("%v %v", names, err)
	}
	f := must(t)(fsys.Open(path.Join(dir, "c")))
	if got := all(t, f); string(got) != "a" {
		t.Errorf("renamed: %q", got)
	}
	if err := errors.Join(fsys.Remove(path.Join(dir, "c")), f.Close()); err != nil {
		t.Error(err)
	}
}

func checkHandles(t *testing.T, fsys FS, dir string) {
	name := path.Join(dir, "x")
	f := must(t)(fsys.Create(name))
	if err := fsys.Rename(name, name+"y"); err != nil {
		t.Fatal(err)
	}
	if err := fsys.Remove(name + "y"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("still"), 0); err != nil {
		t.Fatal(err)
	}
	if got := all(t, f); string(got) != "still" {
		t.Errorf("%q", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, read := f.ReadAt(make([]byte, 1), 0)
	_, write := f.WriteAt(make([]byte, 1), 0)
	for what, err := range map[string]error{"read": read, "write": write, "close": f.Close()} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s after close: %v", what, err)
		}
	}
	if f.Sync() == nil || f.Truncate(0) == nil || f.Preallocate(10) == nil {
		t.Error("a closed file was changed")
	}
}

func checkLock(t *testing.T, fsys FS, dir string) {
	name := path.Join(dir, "lock")
	first, err := fsys.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.Lock(name); err == nil {
		t.Fatal("locked twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := fsys.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// What is synced survives a power loss, whatever else does not.
func TestMemFSForgets(t *testing.T) {
	lost, torn, kept := 0, 0, 0
	for seed := range uint64(200) {
		m := NewMemFS()
		f, _ := m.Create("/x")
		old, fresh := bytes.Repeat([]byte{1}, 3*memPage), bytes.Repeat([]byte{2}, 3*memPage)
		f.WriteAt(old, 0)
		f.Sync()
		m.SyncDir("/")
		f.WriteAt(fresh[:2*memPage], 0)
		m.Create("/y")
		after := m.Crash(rand.New(rand.NewPCG(seed, 1)))
		if _, err := f.WriteAt(old, 0); !errors.Is(err, errPowerOff) {
			t.Fatalf("written after the power loss: %v", err)
		}
		g, err := after.Open("/x")
		if err != nil {
			t.Fatal(err)
		}
		b := all(t, g)
		if len(b) != len(old) || !bytes.Equal(b[2*memPage:], old[2*memPage:]) {
			t.Fatal("what was synced is gone")
		}
		for _, page := range [][]byte{b[:memPage], b[memPage : 2*memPage]} {
			switch {
			case bytes.Equal(page, old[:memPage]):
				lost++
			case bytes.Equal(page, fresh[:memPage]):
				kept++
			default:
				torn++
			}
		}
	}
	if lost == 0 || torn == 0 || kept == 0 {
		t.Errorf("%d pages lost, %d torn, %d kept", lost, torn, kept)
	}
}

func TestFaultRules(t *testing.T) {
	f := NewFaultFS(NewMemFS())
	f.Break(Fault{Op: FaultWrite, Pattern: "*.log", Skip: 1, Times: 2, Err: syscall.EIO, Short: true})
	x := must(t)(f.Create("/a.log"))
	y := must(t)(f.Create("/b"))
	want := []error{nil, syscall.EIO, syscall.EIO, nil}
	for i, err := range want {
		if _, got := x.WriteAt([]byte("ab"), int64(2*i)); !errors.Is(got, err) {
			t.Errorf("write %d: %v", i, got)
		}
		if _, got := y.WriteAt([]byte("ab"), 0); got != nil {
			t.Error(got)
		}
	}
	if got := all(t, x); string(got) != "aba\x00a\x00ab" {
		t.Errorf("short writes left %q", got)
	}
	if f.Hits() != 2 {
		t.Errorf("%d hits", f.Hits())
	}
	for _, op := range []FaultOp{FaultCreate, FaultOpen, FaultRename, FaultRemove, FaultSyncDir, FaultRead, FaultSync,
		FaultPreallocate, FaultTruncate, FaultWrite} {
		f.Break(Fault{Op: op, Pattern: "*", Err: syscall.EIO})
	}
	_, create := f.Create("/c")
	_, open := f.Open("/b")
	_, openWrite := f.OpenReadWrite("/b")
	_, read := x.ReadAt(make([]byte, 1), 0)
	_, write := x.WriteAt(make([]byte, 1), 0)
	for what, err := range map[string]error{"create": create, "open": open, "open to write": openWrite, "read": read, "write": write,
		"rename": f.Rename("/b", "/c"), "remove": f.Remove("/b"), "syncdir": f.SyncDir("/d"), "sync": x.Sync(),
		"preallocate": x.Preallocate(1), "truncate": x.Truncate(1)} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f.Heal()
	if err := f.Rename("/b", "/c"); err != nil {
		t.Error(err)
	}
}
