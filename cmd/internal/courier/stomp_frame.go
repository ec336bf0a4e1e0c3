package courier

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

type stompFrame struct {
	command string
	headers map[string]string
	body    []byte
}

// Bounds of what a broker may send.
const (
	maxStompLine    = 64 << 10
	maxStompHeaders = 1000
	maxStompBody    = 1 << 30
)

var (
	stompEscape   = strings.NewReplacer(`\`, `\\`, "\r", `\r`, "\n", `\n`, ":", `\c`)
	stompUnescape = strings.NewReplacer(`\\`, `\`, `\r`, "\r", `\n`, "\n", `\c`, ":")
)

// readStomp takes the next frame; ERROR is an error. Lines are bounded by in's buffer.
func readStomp(in *bufio.Reader) (f stompFrame, err error) {
	f.headers = map[string]string{}
	for f.command == "" { // empty lines are heart-beats
		if f.command, err = stompLine(in); err != nil {
			return f, err
		}
	}
	for {
		line, err := stompLine(in)
		if err != nil {
			return f, err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || len(f.headers) >= maxStompHeaders {
			return f, fmt.Errorf("the broker sent a %s frame with headers that cannot be read", f.command)
		}
		name = stompUnescape.Replace(name)
		if _, repeated := f.headers[name]; !repeated { // the first of a name counts
			f.headers[name] = stompUnescape.Replace(value)
		}
	}
	if f.body, err = stompBody(in, f.headers); err != nil {
		return f, err
	}
	if f.command == "ERROR" {
		return f, ofMessage(f.headers["message"], fmt.Errorf("the broker says: %s", strings.TrimSpace(f.headers["message"]+" "+string(f.body))))
	}
	return f, nil
}

func stompLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), err
}

var errStompBody = errors.New("the broker sent a frame that is too large or does not end where it says")

// stompBody reads a body and the zero behind it.
func stompBody(in *bufio.Reader, headers map[string]string) ([]byte, error) {
	var b bytes.Buffer
	if length, sized := headers["content-length"]; sized {
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > maxStompBody {
			return nil, fmt.Errorf("the broker sent content-length %q", length)
		}
		if _, err := io.CopyN(&b, in, int64(n)); err != nil {
			return nil, err
		}
		if end, err := in.ReadByte(); err != nil || end != 0 {
			return nil, errors.Join(errStompBody, err)
		}
		return b.Bytes(), nil
	}
	for {
		part, err := in.ReadSlice(0)
		b.Write(part)
		switch {
		case err == nil:
			return bytes.TrimSuffix(b.Bytes(), []byte{0}), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case b.Len() > maxStompBody:
			return nil, errStompBody
		}
	}
}
