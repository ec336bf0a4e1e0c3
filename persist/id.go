package persist

import (
	"encoding/hex"
	"fmt"
	"io"
)

// ID names a cluster or a node. Zero is none.
type ID [16]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero says that there is none.
func (id ID) IsZero() bool { return id == ID{} }

// NewID draws one from random, which is crypto/rand.Reader but for tests.
func NewID(random io.Reader) (ID, error) {
	var id ID
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return ID{}, fmt.Errorf("drawing an id: %w", err)
	}
	return id, nil
}
