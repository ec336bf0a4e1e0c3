package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written "1gb", "100 mb", "64kb" or "104857600". Units are powers of 1024.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"tb", 1 << 40}, {"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10},
	{"t", 1 << 40}, {"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"b", 1},
}

// UnmarshalText reads a size; it is never negative.
func (s *Size) UnmarshalText(text []byte) error {
	in := strings.ToLower(strings.TrimSpace(string(text)))
	number, unit := in, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(in, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0) || n*float64(unit) >= math.MaxInt64 {
		return fmt.Errorf("%q is not a size: write a number and a unit, such as 512mb or 1gb", text)
	}
	*s = Size(n * float64(unit))
	return nil
}

// MarshalText writes the size in the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	for _, u := range sizeUnits[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Duration is a time span, written "6s", "500ms" or "1m30s". A bare number is milliseconds, as ActiveMQ has it.
type Duration time.Duration

// UnmarshalText reads a duration; it is never negative.
func (d *Duration) UnmarshalText(text []byte) error {
	in := strings.TrimSpace(string(text))
	if _, err := strconv.ParseUint(in, 10, 32); err == nil {
		in += "ms"
	}
	v, err := time.ParseDuration(in)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a time span: write a number and a unit, such as 6s or 500ms", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Secret is a word that is not shown again.
type Secret string

// MarshalText hides the word.
func (s Secret) MarshalText() ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return []byte("(hidden)"), nil
}

// String hides the word from logs too.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// Sync says what a confirmation to a sender promises: one of ActiveMQ's levels, or several of them, all of which must hold.
type Sync string

// The levels. Disk, True and False are levelDB's words for one node.
const (
	SyncLocalMem   Sync = "local_mem"
	SyncLocalDisk  Sync = "local_disk"
	SyncRemoteMem  Sync = "remote_mem"
	SyncRemoteDisk Sync = "remote_disk"
	SyncQuorumMem  Sync = "quorum_mem"
	SyncQuorumDisk Sync = "quorum_disk"
	SyncDisk       Sync = "disk"
	SyncTrue       Sync = "true"
	SyncFalse      Sync = "false"
)

var syncLevels = []Sync{SyncLocalMem, SyncLocalDisk, SyncRemoteMem, SyncRemoteDisk, SyncQuorumMem, SyncQuorumDisk}

// UnmarshalText reads a comma-separated list of levels, or one of disk, true and false.
func (s *Sync) UnmarshalText(text []byte) error {
	in := strings.ReplaceAll(strings.ToLower(string(text)), " ", "")
	switch Sync(in) {
	case SyncDisk, SyncTrue, SyncFalse:
		*s = Sync(in)
		return nil
	}
	for _, word := range strings.Split(in, ",") {
		if !isLevel(Sync(word)) {
			return fmt.Errorf("%q is not a sync level%s", word, suggest(word, syncWords()))
		}
	}
	*s = Sync(in)
	return nil
}

func isLevel(s Sync) bool {
	for _, l := range syncLevels {
		if l == s {
			return true
		}
	}
	return false
}

func syncWords() []string {
	words := []string{string(SyncDisk), string(SyncTrue), string(SyncFalse)}
	for _, l := range syncLevels {
		words = append(words, string(l))
	}
	return words
}

// Levels is the list of levels that must hold before a sender is answered, levelDB's words translated.
func (s Sync) Levels() []string {
	switch s {
	case SyncDisk, SyncTrue:
		return []string{string(SyncQuorumDisk)}
	case SyncFalse:
		return []string{string(SyncLocalMem)}
	}
	return strings.Split(string(s), ",")
}

// Safe says whether no crash of one node's process or machine loses what was confirmed.
func (s Sync) Safe() bool {
	for _, l := range s.Levels() {
		if strings.HasSuffix(l, "_disk") && (strings.HasPrefix(l, "quorum") || strings.HasPrefix(l, "local")) {
			return true
		}
	}
	return false
}
