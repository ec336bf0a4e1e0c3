package broker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// client keeps no connection open, so that it neither holds up a stop nor leaves goroutines.
var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// API reads a path of the admin address, such as "/api/v1/queues", into v.
func (b *Broker) API(path string, v any) error {
	resp, err := client.Get("http://" + b.Addr("admin") + path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read only
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1024)) // for the message alone
		return fmt.Errorf("GET %s: %s: %s", path, resp.Status, text)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// Metrics reads /metrics: each sample's value by its name and labels as they are written there.
func (b *Broker) Metrics() (map[string]float64, error) { return Scrape("http://" + b.Addr("admin")) }

// Scrape reads /metrics of an admin URL.
func Scrape(admin string) (map[string]float64, error) {
	resp, err := client.Get(admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read only
	samples := map[string]float64{}
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		name, value, ok := cutLast(s.Text())
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue // a comment that ends in a word
		}
		samples[name] = v
	}
	return samples, nil
}

func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// CPU is the user and system time that the process has used.
func (b *Broker) CPU() (time.Duration, error) { return ProcessCPU(b.PID()) }

// ProcessCPU is the user and system time that a process has used, in steps of 10 ms.
func ProcessCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(after)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat cannot be read: %q", pid, stat)
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(f[12], 10, 64)
	const ticksPerSecond = 100 // USER_HZ, part of Linux's interface
	return time.Duration(user+system) * time.Second / ticksPerSecond, err
}

// RSSBytes is the resident memory of the process.
func (b *Broker) RSSBytes() (int64, error) { return b.status("VmRSS:") }

// PeakRSSBytes is the most resident memory that the process has had.
func (b *Broker) PeakRSSBytes() (int64, error) { return b.status("VmHWM:") }

func (b *Broker) status(key string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", b.PID(), key)
}

// FDs counts the open files of the process.
func (b *Broker) FDs() (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.PID()))
	return len(list), err
}

// DiskBytes is the size of all files in the data directory.
func (b *Broker) DiskBytes() (total int64, err error) {
	err = filepath.WalkDir(b.DataDir(), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		total += info.Size()
		return nil
	})
	return total, err
}

// ignoreGone lets files vanish while they are counted.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
