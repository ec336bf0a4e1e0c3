package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

const documentHead = `# What things cost

Measured on one machine that also makes the load. Shares and CPU a message hold elsewhere; rates are this machine's.
`

// putSection replaces a section of a document, or adds it at the end. Its text begins with a heading; marks that a reader does not see enclose it.
func putSection(file, name, text string) error {
	old, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		old, err = []byte(documentHead), nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(withSection(string(old), name, text)), 0o644)
}

func withSection(document, name, text string) string {
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	section := begin + text + end
	before, rest, found := strings.Cut(document, begin)
	if !found {
		return document + "\n" + section
	}
	_, after, _ := strings.Cut(rest, end)
	return before + section + after
}

// kernel names the operating system.
func kernel() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return "unknown system"
	}
	text := func(f [65]int8) string {
		var b strings.Builder
		for _, c := range f {
			if c == 0 {
				break
			}
			b.WriteByte(byte(c))
		}
		return b.String()
	}
	return fmt.Sprintf("%s %s", text(u.Sysname), text(u.Release))
}
