package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/havenmq/havenmq/cmd/internal/config"
)

// Connections leave the store the files that it needs: one that cannot make its next segment has failed.
func TestConnectionsFitOpenFiles(t *testing.T) {
	connector := func(scheme string, most int) (c config.Connector) {
		c.URI.Scheme, c.URI.MaxConnections = scheme, most
		return c
	}
	list := []config.Connector{connector("amqp", 1000), connector("mqtt", 3000)}
	own := storeFiles + adminFiles + 2*refusedFiles
	for _, c := range []struct {
		files int
		want  []int
		fails bool
	}{
		{files: own + 4000, want: []int{1000, 3000}},
		{files: own + 400, want: []int{100, 300}},
		{files: own + 2, want: []int{1, 1}},
		{files: own + 1, fails: true},
		{files: 64, fails: true},
	} {
		got, warning, err := fitConnections(list, c.files)
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.fails {
			t.Errorf("%d files: %v %v\n%s", c.files, got, err, diff)
		}
		if warns := !c.fails && c.files < own+4000; warns != strings.Contains(warning, "ulimit") {
			t.Errorf("%d files: warning %q", c.files, warning)
		}
	}
}
