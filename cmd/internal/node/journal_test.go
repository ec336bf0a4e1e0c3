package node

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/havenmq/havenmq/ha"
)

// TestManyLinesHideNoOther: a flood of one kind is cut, and an election shows all the same.
func TestManyLinesHideNoOther(t *testing.T) {
	var out bytes.Buffer
	j := newJournal(zerolog.New(&out))
	for i := range 1000 {
		j.cluster(ha.Info, fmt.Sprintf("Replica has connected: host%d:61619", i))
	}
	j.cluster(ha.Info, "Elected as the master of epoch 5")
	j.cluster(ha.Info, "Master started: a:61619")
	j.second()
	if got := out.String(); strings.Count(got, "Replica has connected: ") != maxLines || !strings.Contains(got, "Elected as") || !strings.Contains(got, "Master started") ||
		!strings.Contains(got, "Left out more lines: cluster: Replica has connected") {
		t.Error(got)
	}
}
