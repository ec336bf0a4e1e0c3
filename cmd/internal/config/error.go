package config

import "fmt"

// Error is one thing that is wrong with a configuration: where, which key, and what to write instead.
type Error struct {
	At   origin
	Path string // "persistenceAdapter.levelDB.sync"; empty when the file itself cannot be read
	What string
}

func (e *Error) Error() string {
	switch {
	case e.Path == "":
		return fmt.Sprintf("%s: %s", e.At, e.What)
	case e.At == origin{}:
		return fmt.Sprintf("%s: %s", e.Path, e.What)
	}
	return fmt.Sprintf("%s: %s: %s", e.At, e.Path, e.What)
}
