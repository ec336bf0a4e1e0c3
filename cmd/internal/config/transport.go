package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ConnectorURI is a connector's URI, taken apart.
type ConnectorURI struct {
	Scheme         string // "amqp"
	Host           string // "127.0.0.1", "0.0.0.0", "localhost", "[::1]" without its brackets
	Port           int
	MaxConnections int // maximumConnections
	MaxFrameBytes  int // wireFormat.maxFrameSize

	text string
}

// schemes are the connectors' protocols, with their standard ports, and whether this build serves them.
var schemes = []struct {
	name   string
	port   int
	served bool
}{
	{"amqp", 5672, true}, {"mqtt", 1883, true}, {"stomp", 61613, true},
	{"amqps", 5671, false}, {"mqtts", 8883, false}, {"stomps", 61612, false},
	{"tcp", 61616, false}, {"ssl", 61617, false}, {"ws", 61614, false}, {"wss", 61615, false},
}

// Served says whether this build listens for the protocol.
func (u ConnectorURI) Served() bool {
	for _, s := range schemes {
		if s.name == u.Scheme {
			return s.served
		}
	}
	return false
}

// Address is what to listen on: "host:port".
func (u ConnectorURI) Address() string { return net.JoinHostPort(u.Host, strconv.Itoa(u.Port)) }

// URL is what a client dials, without the options.
func (u ConnectorURI) URL() string { return u.Scheme + "://" + u.Address() }

// Loopback says whether only this machine can reach the connector.
func (u ConnectorURI) Loopback() bool { return isLoopback(u.Host) }

func (u ConnectorURI) String() string { return u.text }

// MarshalText writes the URI as it was given.
func (u ConnectorURI) MarshalText() ([]byte, error) { return []byte(u.text), nil }

// UnmarshalText reads a URI; its options are maximumConnections and wireFormat.maxFrameSize.
func (u *ConnectorURI) UnmarshalText(text []byte) error {
	in := strings.TrimSpace(string(text))
	p, err := url.Parse(in)
	if err != nil || p.Scheme == "" || p.Opaque != "" || p.User != nil || p.Path != "" && p.Path != "/" || p.Fragment != "" {
		return fmt.Errorf("%q is not a connector: write scheme://host:port, such as amqp://127.0.0.1:5672", in)
	}
	out := ConnectorURI{Scheme: p.Scheme, Host: p.Hostname(), text: in,
		MaxConnections: DefaultConnections, MaxFrameBytes: DefaultMaxFrame}
	if out.Port, err = schemePort(p.Scheme); err != nil {
		return err
	}
	if s := p.Port(); s != "" {
		if out.Port, err = strconv.Atoi(s); err != nil || out.Port > 65535 {
			return fmt.Errorf("%q: port %s is not within 0 and 65535", in, s)
		}
	}
	if out.Host == "" {
		return fmt.Errorf("%q has no host: write 127.0.0.1 for this machine alone, or 0.0.0.0 for every address", in)
	}
	if err := out.options(p.RawQuery); err != nil {
		return fmt.Errorf("%q: %w", in, err)
	}
	*u = out
	return nil
}

func schemePort(scheme string) (int, error) {
	var known []string
	for _, s := range schemes {
		if s.name == scheme {
			return s.port, nil
		}
		known = append(known, s.name)
	}
	return 0, fmt.Errorf("%q is not a protocol%s", scheme, suggest(scheme, known))
}

var connectorOptions = []string{"maximumConnections", "wireFormat.maxFrameSize"}

func (u *ConnectorURI) options(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("options cannot be read: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		n, err := strconv.Atoi(values.Get(name))
		switch {
		case !slices.Contains(connectorOptions, name):
			return fmt.Errorf("unknown option %q%s", name, suggest(name, connectorOptions))
		case err != nil || n < 1:
			return fmt.Errorf("option %s must be a number from 1, not %q", name, values.Get(name))
		case name == "maximumConnections":
			u.MaxConnections = n
		case n < 512 || n > 1<<30:
			return fmt.Errorf("option %s must be between 512 and 1073741824 bytes, not %d", name, n)
		default:
			u.MaxFrameBytes = n
		}
	}
	return nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// hostLoopback is isLoopback of "host:port".
func hostLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopback(host)
}

func mustURI(s string) (u ConnectorURI) {
	if err := u.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return u
}
