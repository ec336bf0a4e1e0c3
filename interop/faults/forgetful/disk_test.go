package forgetful

import (
	"bytes"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// create makes a file with content in a directory.
func create(d *Disk, in *directory, name, content string) *file {
	f := d.newFile()
	d.do(change{to: in, come: name, target: f})
	f.write([]byte(content), 0)
	return f
}

func mkdir(d *Disk, in *directory, name string) *directory {
	x := d.newDirectory()
	d.do(change{to: in, come: name, target: x})
	return x
}

// tree lists what programs see: name=content, and directories' names with a slash.
func tree(x *directory, prefix string) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(x.names)) {
		switch n := x.names[name].(type) {
		case *file:
			all = append(all, prefix+name+"="+string(n.data))
		case *directory:
			all = append(all, tree(n, prefix+name+"/")...)
		}
	}
	return all
}

func TestPowerLossLeavesWhatWasSynced(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(d *Disk)
		want string
	}{
		{"nothing synced", func(d *Disk) { create(d, d.root, "a", "1") }, ""},
		{"content without a name", func(d *Disk) { create(d, d.root, "a", "1").sync() }, ""},
		{"a name without content", func(d *Disk) {
			create(d, d.root, "a", "1")
			d.syncDirectory(d.root)
		}, "a="},
		{"both", func(d *Disk) {
			create(d, d.root, "a", "1").sync()
			d.syncDirectory(d.root)
		}, "a=1"},
		{"written after the sync", func(d *Disk) {
			f := create(d, d.root, "a", "1")
			f.sync()
			d.syncDirectory(d.root)
			f.write([]byte("22"), 0)
		}, "a=1"},
		{"truncated and grown again", func(d *Disk) {
			f := create(d, d.root, "a", "old old")
			f.sync()
			d.syncDirectory(d.root)
			f.truncate(0)
			f.write([]byte("n"), 4)
			f.sync()
		}, "a=\x00\x00\x00\x00n"},
		{"a removal", func(d *Disk) {
			create(d, d.root, "a", "1").sync()
			d.syncDirectory(d.root)
			d.do(change{from: d.root, gone: "a"})
		}, "a=1"},
		{"a directory's name stands in another", func(d *Disk) {
			x := mkdir(d, d.root, "x")
			create(d, x, "a", "1").sync()
			d.syncDirectory(x)
		}, ""},
		{"a rename out of a directory", func(d *Disk) {
			x := mkdir(d, d.root, "x")
			create(d, x, "a", "1").sync()
			d.rename(x, "a", d.root, "b")
			d.syncDirectory(d.root)
			d.syncDirectory(x) // what was before the rename must not come back
		}, "b=1"},
	} {
		d := NewDisk()
		c.do(d)
		d.PowerLoss(All, nil)
		if got := strings.Join(tree(d.root, ""), " "); got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
		if d.PowerLoss(All, nil) != (Forgotten{}) {
			t.Errorf("%s: a second power loss took something", c.name)
		}
	}
}

// TestSomeOfItSurvives has the disk keep any page and the first changes, and never what was never written.
func TestSomeOfItSurvives(t *testing.T) {
	names, pages := map[string]bool{}, map[string]bool{}
	for seed := range int64(200) {
		d := NewDisk()
		f := create(d, d.root, "a", strings.Repeat("o", 2*pageBytes))
		f.sync()
		d.syncDirectory(d.root)
		f.write(bytes.Repeat([]byte("n"), 2*pageBytes), 0)
		create(d, d.root, "b", "")
		create(d, d.root, "c", "")
		d.PowerLoss(Some, rand.New(rand.NewSource(seed)))
		found := d.root.names["a"].(*file).data
		pages[string(found[:1])+string(found[pageBytes:pageBytes+1])] = true
		if !bytes.Equal(found[:pageBytes], bytes.Repeat(found[:1], pageBytes)) {
			t.Fatal("a page is neither the old nor the new one")
		}
		names[strings.Join(slices.Sorted(maps.Keys(d.root.names)), "")] = true
	}
	if got := slices.Sorted(maps.Keys(pages)); !slices.Equal(got, []string{"nn", "no", "on", "oo"}) {
		t.Errorf("pages found: %q", got)
	}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, []string{"a", "ab", "abc"}) {
		t.Errorf("names found: %q", got)
	}
}
