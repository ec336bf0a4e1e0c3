package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/havenmq/havenmq/interop/broker"
)

// What the documents tell people to type works, and prints what they say.

// block is a fenced block of a document.
type block struct {
	language, text string
	line           int
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(t *testing.T, path string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllSubmatchIndex(text, -1) {
		all = append(all, block{string(text[m[2]:m[3]]), string(text[m[4]:m[5]]), 1 + bytes.Count(text[:m[0]], []byte("\n"))})
	}
	return all
}

func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"../README.md", "../CONTRIBUTING.md"}, docs...)
}

// here turns the standard addresses into those of a broker.
func here(b *broker.Broker, text string) string {
	return strings.NewReplacer(
		"127.0.0.1:5672", b.Addr("amqp"), "127.0.0.1:1883", b.Addr("mqtt"), "127.0.0.1:61613", b.Addr("stomp"),
		"127.0.0.1:8161", b.Addr("admin"), "-p 1883", fmt.Sprintf("-p %d", b.Port("mqtt")),
	).Replace(text)
}

func TestDocuments(t *testing.T) {
	b := start(t, 0)
	for _, path := range documents(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			all := blocks(t, path)
			for i, k := range all {
				switch k.language {
				case "sh":
					out := shell(t, b, path, k)
					if i+1 < len(all) && all[i+1].language == "text" {
						if diff := cmp.Diff(all[i+1].text, out); diff != "" {
							t.Errorf("%s:%d prints something else (-document +now):\n%s", path, k.line, diff)
						}
					}
				case "yaml":
					checkConfiguration(t, path, k)
				}
			}
		})
	}
}

// shell runs a block with the binary in its path. Lines of make are not run, only looked at: this test is within one.
func shell(t *testing.T, b *broker.Broker, path string, k block) (out string) {
	t.Helper()
	bin, err := broker.Binary()
	if err != nil {
		t.Fatal(err)
	}
	script := "set -euo pipefail\n" + here(b, k.text)
	dir := t.TempDir()
	if strings.HasPrefix(k.text, "make ") {
		script, dir = strings.ReplaceAll(script, "make ", "make -n "), ".."
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"),
		"HAVENMQ_URL="+b.URL("amqp"), "HAVENMQ_NODE=http://"+b.Addr("admin"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Errorf("%s:%d: %v\n%s%s%s", path, k.line, err, script, text, stderr.Bytes())
	}
	return string(text)
}

func checkConfiguration(t *testing.T, path string, k block) {
	t.Helper()
	bin, err := broker.Binary()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "havenmq.yaml")
	if err := os.WriteFile(file, []byte(k.text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "config", "check", file).CombinedOutput(); err != nil {
		t.Errorf("%s:%d: %v\n%s", path, k.line, err, out)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)\)`)

// TestLinks follows what the documents point at within the project.
func TestLinks(t *testing.T) {
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), string(m[1]))); err != nil {
				t.Errorf("%s points at %s: %v", path, m[1], err)
			}
		}
	}
}

var metricName = regexp.MustCompile(`havenmq_[a-z_]+`)

// TestMetricsAreDocumented compares what the broker shows with what the document lists.
func TestMetricsAreDocumented(t *testing.T) {
	b := start(t, 0)
	for _, scheme := range broker.Schemes {
		if err := roundTrip(scheme, b.Port(scheme), "documented"); err != nil {
			t.Fatal(err)
		}
	}
	samples, err := b.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := metricName.FindAllString(string(text), -1)
	for sample := range samples {
		name, _, _ := strings.Cut(sample, "{")
		if strings.HasPrefix(name, "havenmq_") && !slices.Contains(documented, name) {
			t.Errorf("docs/operations.md does not tell of %s", name)
		}
	}
}

// TestKeysAreDocumented compares the configuration's keys with what the document lists.
func TestKeysAreDocumented(t *testing.T) {
	bin, err := broker.Binary()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := exec.Command(bin, "config", "show").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(shown)) {
		key, _, ok := strings.Cut(strings.TrimLeft(line, " -"), ":")
		if ok && !bytes.Contains(text, []byte(key)) {
			t.Errorf("docs/configuration.md does not tell of %s", key)
		}
	}
}
