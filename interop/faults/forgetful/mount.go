package forgetful

import (
	"context"
	"fmt"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// transferBytesMax bounds one read or write of the kernel's: with its header, one fits into a pipe.
const transferBytesMax = 512 << 10

// Mount shows the disk in an empty directory, to programs of all users. It needs root. The result ends it.
func (d *Disk) Mount(dir string) (unmount func() error, err error) {
	server, err := fs.Mount(dir, &dirNode{disk: d}, &fs.Options{RootStableAttr: &fs.StableAttr{Ino: 1, Mode: syscall.S_IFDIR},
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "forgetful", Name: "forgetful", MaxWrite: transferBytesMax, DisableXAttrs: true}})
	if err != nil {
		return nil, fmt.Errorf("mounting a forgetful disk on %s: %w", dir, err)
	}
	return server.Unmount, nil
}

// dirNode is a directory as the kernel knows it; dir is nil for the root, which another takes the place of in a power loss.
// The kernel asks anew each time: nothing has a time for which it may be remembered.
type dirNode struct {
	fs.Inode
	disk *Disk
	dir  *directory
}

// fileNode is a file as the kernel knows it.
type fileNode struct {
	fs.Inode
	disk *Disk
	file *file
}

var (
	_ fs.NodeLookuper  = (*dirNode)(nil)
	_ fs.NodeReaddirer = (*dirNode)(nil)
	_ fs.NodeCreater   = (*dirNode)(nil)
	_ fs.NodeMkdirer   = (*dirNode)(nil)
	_ fs.NodeUnlinker  = (*dirNode)(nil)
	_ fs.NodeRmdirer   = (*dirNode)(nil)
	_ fs.NodeRenamer   = (*dirNode)(nil)
	_ fs.NodeFsyncer   = (*dirNode)(nil)
	_ fs.NodeGetattrer = (*dirNode)(nil)
	_ fs.NodeStatfser  = (*dirNode)(nil)
	_ fs.NodeOpener    = (*fileNode)(nil)
	_ fs.NodeReader    = (*fileNode)(nil)
	_ fs.NodeWriter    = (*fileNode)(nil)
	_ fs.NodeFsyncer   = (*fileNode)(nil)
	_ fs.NodeGetattrer = (*fileNode)(nil)
	_ fs.NodeSetattrer = (*fileNode)(nil)
	_ fs.NodeAllocater = (*fileNode)(nil)
)

// lock takes the disk's lock and returns the directory.
func (n *dirNode) lock() *directory {
	n.disk.mu.Lock()
	if n.dir == nil {
		return n.disk.root
	}
	return n.dir
}

// inode makes the kernel's view of a node. The disk's lock is held.
func (n *dirNode) inode(ctx context.Context, x node, out *fuse.Attr) *fs.Inode {
	out.Ino = x.number()
	if f, ok := x.(*file); ok {
		f.attributes(out)
		return n.NewInode(ctx, &fileNode{disk: n.disk, file: f}, fs.StableAttr{Mode: syscall.S_IFREG, Ino: f.ino})
	}
	out.Mode = syscall.S_IFDIR | 0o755
	return n.NewInode(ctx, &dirNode{disk: n.disk, dir: x.(*directory)}, fs.StableAttr{Mode: syscall.S_IFDIR, Ino: x.number()})
}

func (n *dirNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	d := n.lock()
	defer n.disk.mu.Unlock()
	x := d.names[name]
	if x == nil {
		return nil, syscall.ENOENT
	}
	return n.inode(ctx, x, &out.Attr), 0
}

func (n *dirNode) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	d := n.lock()
	defer n.disk.mu.Unlock()
	var list []fuse.DirEntry
	for name, x := range d.names {
		mode := uint32(syscall.S_IFREG)
		if _, ok := x.(*directory); ok {
			mode = syscall.S_IFDIR
		}
		list = append(list, fuse.DirEntry{Name: name, Mode: mode, Ino: x.number()})
	}
	return fs.NewListDirStream(list), 0
}

func (n *dirNode) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	d := n.lock()
	defer n.disk.mu.Unlock()
	f := n.disk.newFile()
	n.disk.do(change{to: d, come: name, target: f})
	return n.inode(ctx, f, &out.Attr), nil, fuse.FOPEN_DIRECT_IO, 0
}

func (n *dirNode) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	d := n.lock()
	defer n.disk.mu.Unlock()
	if d.names[name] != nil {
		return nil, syscall.EEXIST
	}
	x := n.disk.newDirectory()
	n.disk.do(change{to: d, come: name, target: x})
	return n.inode(ctx, x, &out.Attr), 0
}

func (n *dirNode) Unlink(_ context.Context, name string) syscall.Errno {
	d := n.lock()
	defer n.disk.mu.Unlock()
	if d.names[name] == nil {
		return syscall.ENOENT
	}
	n.disk.do(change{from: d, gone: name})
	return 0
}

func (n *dirNode) Rmdir(_ context.Context, name string) syscall.Errno {
	d := n.lock()
	defer n.disk.mu.Unlock()
	x, ok := d.names[name].(*directory)
	switch {
	case !ok:
		return syscall.ENOENT
	case len(x.names) > 0:
		return syscall.ENOTEMPTY
	}
	n.disk.do(change{from: d, gone: name})
	return 0
}

func (n *dirNode) Rename(_ context.Context, name string, parent fs.InodeEmbedder, newName string, _ uint32) syscall.Errno {
	from := n.lock()
	defer n.disk.mu.Unlock()
	to := n.disk.root
	if x := parent.(*dirNode); x.dir != nil {
		to = x.dir
	}
	return n.disk.rename(from, name, to, newName)
}

func (n *dirNode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.disk.drag()
	d := n.lock()
	defer n.disk.mu.Unlock()
	n.disk.syncDirectory(d)
	return 0
}

func (n *dirNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	d := n.lock()
	defer n.disk.mu.Unlock()
	out.Mode, out.Ino = syscall.S_IFDIR|0o755, d.ino
	return 0
}

// Statfs says that there is room: the store asks.
func (n *dirNode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.Blocks, out.Bfree, out.Bavail, out.NameLen = pageBytes, pageBytes, 1<<20, 1<<19, 1<<19, 255
	return 0
}

func (f *file) attributes(out *fuse.Attr) {
	out.Mode, out.Ino, out.Size, out.Nlink = syscall.S_IFREG|0o644, f.ino, uint64(len(f.data)), 1
	out.Blksize, out.Blocks = pageBytes, (out.Size+511)/512
}

func (n *fileNode) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if flags&syscall.O_TRUNC != 0 {
		n.file.truncate(0)
	}
	return nil, fuse.FOPEN_DIRECT_IO, 0 // a cache of the kernel's would outlive a power loss
}

func (n *fileNode) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if off >= int64(len(n.file.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.file.data[off:])]), 0
}

func (n *fileNode) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.file.write(data, off)
	return uint32(len(data)), 0
}

func (n *fileNode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.disk.drag()
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.file.sync()
	return 0
}

func (n *fileNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.file.attributes(&out.Attr)
	return 0
}

func (n *fileNode) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		n.file.truncate(int64(size))
	}
	n.file.attributes(&out.Attr)
	return 0
}

func (n *fileNode) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	if mode != 0 {
		return syscall.EOPNOTSUPP
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.file.grow(int64(off + size))
	return 0
}
