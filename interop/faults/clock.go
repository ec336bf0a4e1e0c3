package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A program without a C library asks the kernel's vDSO, a piece of code that the kernel puts into each process, for the time, and
// no wrapper sees it. So that code is replaced in the one process whose wall clock is to step: in its place stands what asks the
// kernel, and adds an offset if it was CLOCK_REALTIME that was asked for. All other clocks, and all other processes, are as they were.

// skewedClock is that code, for amd64. It changes no register that a C function may not.
var skewedClock = []byte{
	0xb8, 0xe4, 0, 0, 0, // mov eax, 228: clock_gettime
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
	0x75, 0x0a, // jne to ret
	0x48, 0x8b, 0x0d, 6, 0, 0, 0, // mov rcx, [rip+6]: the offset, below
	0x48, 0x01, 0x0e, // add [rsi], rcx: the seconds
	0xc3,       // ret
	0x90, 0x90, // the offset's alignment
}

// wallClock is that of one process. One goroutine uses it.
type wallClock struct {
	n        *node
	at       int64 // where the vDSO's function begins
	start    int64 // and the vDSO
	end      int64
	original []byte
}

// takeClock makes the wall clock of a node's process one that can be set. give restores it.
func takeClock(n *node) (*wallClock, error) {
	if runtime.GOARCH != "amd64" {
		return nil, errors.New("the code that sets a process's wall clock is written for amd64")
	}
	c := &wallClock{n: n}
	image, err := c.find()
	if err != nil {
		return nil, err
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("the vDSO of process %d: %w", n.realPID(), err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return nil, err
	}
	code := append(bytes.Clone(skewedClock), make([]byte, 8)...)
	for _, sym := range symbols {
		if sym.Name == "__vdso_clock_gettime" && sym.Size >= uint64(len(code)) {
			c.at = c.start + int64(sym.Value)
			c.original = bytes.Clone(image[sym.Value : sym.Value+uint64(len(code))])
			return c, c.write(code)
		}
	}
	return nil, errors.New("the vDSO has no __vdso_clock_gettime that is large enough")
}

// find reads the vDSO.
func (c *wallClock) find() ([]byte, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", c.n.realPID()))
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(maps), "\n") {
		if !strings.HasSuffix(line, "[vdso]") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x ", &c.start, &c.end); err != nil {
			return nil, err
		}
		image := make([]byte, c.end-c.start)
		return image, c.memory(os.O_RDONLY, func(f *os.File) error { _, err := f.ReadAt(image, c.start); return err })
	}
	return nil, fmt.Errorf("process %d has no vDSO", c.n.realPID())
}

func (c *wallClock) memory(flag int, use func(*os.File) error) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.n.realPID()), flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(use(f), f.Close())
}

// set has the process's wall clock be an offset ahead.
func (c *wallClock) set(offset time.Duration) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(int64(offset/time.Second)))
	return c.memory(os.O_WRONLY, func(f *os.File) error { _, err := f.WriteAt(b, c.at+int64(len(skewedClock))); return err })
}

// give puts the kernel's code back.
func (c *wallClock) give() error { return c.write(c.original) }

// write replaces the function, while the process stands still outside of it.
func (c *wallClock) write(code []byte) error {
	return until(startTimeout, "no thread of the process reads the clock", func() bool {
		c.n.freeze()
		defer c.n.thaw()
		return c.outside() && c.memory(os.O_WRONLY, func(f *os.File) error { _, err := f.WriteAt(code, c.at); return err }) == nil
	})
}

// outside waits until all threads stand still, and says whether none of them is in the vDSO.
func (c *wallClock) outside() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", c.n.realPID()))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, t := range tasks {
		var where []string
		if until(time.Second, "the thread stands still", func() bool {
			text, err := os.ReadFile(filepath.Join(t, "syscall"))
			where = strings.Fields(string(text))
			return err == nil && len(where) >= 3
		}) != nil {
			return false
		}
		pc, err := strconv.ParseInt(strings.TrimPrefix(where[len(where)-1], "0x"), 16, 64)
		if err != nil || pc >= c.start && pc < c.end {
			return false
		}
	}
	return true
}

// ahead is how far a node's wall clock is ahead of this process's, as it tells by HTTP.
func (n *node) ahead() (time.Duration, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+n.addr+":8161/api/v1/node", nil)
	if err != nil {
		return 0, err
	}
	resp, err := watcher.Do(req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close() // read only
	t, err := http.ParseTime(resp.Header.Get("Date"))
	return time.Until(t).Round(time.Minute), err
}
