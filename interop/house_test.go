package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The house rules of DESIGN and CONTRIBUTING, held by a test: who may import whom, which files stay pure, how large a
// function and a file may grow, and what every package says about itself.

const (
	modulePath       = "github.com/havenmq/havenmq"
	functionLinesMax = 70
	fileLinesMax     = 600
)

// pkg is what `go list -json` tells of one package.
type pkg struct {
	Dir, ImportPath                    string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

func (p pkg) room() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, modulePath), "/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", modulePath+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// mayImport says which of our rooms each top-level room may use: cmd → protocols → core → persist ← ha.
var mayImport = map[string][]string{
	"cmd":       {"cmd", "protocols", "core", "persist", "ha"},
	"protocols": {"protocols", "core"},
	"core":      {"core", "persist"},
	"persist":   {"persist"},
	"ha":        {"ha", "persist"},
	"interop":   {"interop"},
}

// thirdParty says which modules each room may use outside its tests; what is not listed uses none.
var thirdParty = map[string][]string{
	"persist":         {"github.com/syndtr/goleveldb", "golang.org/x/sys"},
	"ha":              {"github.com/go-zookeeper/zk"},
	"protocols/mqtt":  {"github.com/mochi-mqtt/server/v2"},
	"protocols/admin": {"github.com/prometheus"},
	"protocols/ws":    {"github.com/coder/websocket"},
	"protocols/auth":  {"golang.org/x/crypto"},
	"cmd":             {""},
	"interop":         {""},
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if problem := importProblem(p.room(), imp); problem != "" {
				t.Errorf("%s imports %s: %s", p.room(), imp, problem)
			}
		}
	}
}

// importProblem names the rule that an import breaks, or nothing.
func importProblem(room, imp string) string {
	top, _, _ := strings.Cut(room, "/")
	if ours, ok := strings.CutPrefix(imp, modulePath+"/"); ok {
		return ourImportProblem(room, top, ours)
	}
	if host, _, _ := strings.Cut(imp, "/"); !strings.Contains(host, ".") {
		return standardImportProblem(top, imp)
	}
	for where, modules := range thirdParty {
		if room != where && !strings.HasPrefix(room, where+"/") {
			continue
		}
		for _, m := range modules {
			if strings.HasPrefix(imp, m) {
				return ""
			}
		}
	}
	return "this room uses no such module"
}

func ourImportProblem(room, top, ours string) string {
	oursTop, _, _ := strings.Cut(ours, "/")
	allowed := false
	for _, a := range mayImport[top] {
		allowed = allowed || a == oursTop
	}
	if !allowed {
		return "imports run cmd → protocols → core → persist ← ha"
	}
	if top == "protocols" && oursTop == "protocols" && !strings.HasPrefix(ours, "protocols/peer") {
		if mine := strings.Split(room, "/")[1]; !strings.HasPrefix(ours, "protocols/"+mine) {
			return "one protocol never imports another; they share protocols/peer"
		}
	}
	return ""
}

// standardImportProblem keeps core away from sockets and files.
func standardImportProblem(top, imp string) string {
	if top == "core" && (imp == "net" || imp == "os" || imp == "syscall" || strings.HasPrefix(imp, "net/")) {
		return "core opens no socket and no file"
	}
	return ""
}

// pureFile matches the files of machines, codecs and translators, which keep I/O, locks and the clock out.
var pureFile = regexp.MustCompile(`^(session|link|connection|codec|translate|prescan|master|replica)[a-z_]*\.go$`)

// pureRooms are pure in every file.
var pureRooms = map[string]bool{"ha": true}

func TestPureFiles(t *testing.T) {
	banned := map[string]bool{"net": true, "os": true, "sync": true, "syscall": true}
	for _, p := range packages(t) {
		top, _, _ := strings.Cut(p.room(), "/")
		if top != "protocols" && top != "ha" || p.room() == "protocols/admin" || p.room() == "protocols/peer" {
			continue
		}
		for _, name := range p.GoFiles {
			if !pureRooms[p.room()] && !pureFile.MatchString(name) {
				continue
			}
			path := filepath.Join(p.Dir, name)
			file, fset := parse(t, path)
			for _, imp := range file.Imports {
				if banned[strings.Trim(imp.Path.Value, `"`)] {
					t.Errorf("%s imports %s: this file is a pure machine", fset.Position(imp.Pos()), imp.Path.Value)
				}
			}
			noClockNorGoroutine(t, file, fset)
		}
	}
}

func TestCoreHasNoClock(t *testing.T) {
	for _, p := range packages(t) {
		if p.room() != "core" {
			continue
		}
		for _, name := range p.GoFiles {
			file, fset := parse(t, filepath.Join(p.Dir, name))
			ast.Inspect(file, func(n ast.Node) bool { return reportClock(t, n, fset) })
		}
	}
}

func noClockNorGoroutine(t *testing.T, file *ast.File, fset *token.FileSet) {
	t.Helper()
	ast.Inspect(file, func(n ast.Node) bool {
		if g, ok := n.(*ast.GoStmt); ok {
			t.Errorf("%s starts a goroutine: this file is a pure machine", fset.Position(g.Pos()))
		}
		return reportClock(t, n, fset)
	})
}

func reportClock(t *testing.T, n ast.Node, fset *token.FileSet) bool {
	t.Helper()
	if s, ok := n.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
			switch s.Sel.Name {
			case "Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "AfterFunc", "Tick":
				t.Errorf("%s uses time.%s: time is passed in", fset.Position(s.Pos()), s.Sel.Name)
			}
		}
	}
	return true
}

func parse(t *testing.T, path string) (*ast.File, *token.FileSet) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file, fset
}

func TestSizes(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range append(append(append([]string{}, p.GoFiles...), p.TestGoFiles...), p.XTestGoFiles...) {
			path := filepath.Join(p.Dir, name)
			file, fset := parse(t, path)
			if lines := fset.Position(file.End()).Line; lines > fileLinesMax {
				t.Errorf("%s has %d lines, at most %d: find the seam", path, lines, fileLinesMax)
			}
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if lines := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1; lines > functionLinesMax {
					t.Errorf("%s: %s has %d lines, at most %d", fset.Position(f.Pos()), f.Name.Name, lines, functionLinesMax)
				}
			}
		}
	}
}

// TestRoomsExplainThemselves asks each package for a doc.go, and each room of the house for its DESIGN.md.
func TestRoomsExplainThemselves(t *testing.T) {
	for _, p := range packages(t) {
		top, _, _ := strings.Cut(p.room(), "/")
		if top == "interop" || len(p.GoFiles) == 0 {
			continue
		}
		if _, err := os.Stat(filepath.Join(p.Dir, "doc.go")); err != nil {
			t.Errorf("%s has no doc.go", p.room())
		}
		if top == "cmd" {
			continue
		}
		if _, err := os.Stat(filepath.Join(p.Dir, "DESIGN.md")); err != nil {
			t.Errorf("%s has no DESIGN.md", p.room())
		}
	}
}

// TestNothingLeftForLater looks through what is committed for what has no place in it.
func TestNothingLeftForLater(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "ls-files", "-z").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	banned := regexp.MustCompile(`\b(TODO|FIXME|XXX)\b|t\.Skip\(|/home/[a-z]|[ "(\x60]/work/|https?://[a-z.]*(pypi|npmjs|proxy\.golang|maven\.org|deb\.debian)[a-z.]*`)
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		if name == "interop/house_test.go" || name == "LICENSE" || strings.Contains(name, "/testdata/fuzz/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			continue // deleted in the work tree, not yet committed
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if m := banned.Find(line); m != nil {
				t.Errorf("%s:%d says %q", name, i+1, m)
			}
		}
	}
}
