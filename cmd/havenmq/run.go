package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/havenmq/havenmq/cmd/internal/client"
)

// version is told to clients and operators; a release sets it with -ldflags.
var version = "0.1.0-dev"

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
}

// commands is the command line.
type commands struct {
	Serve        serveCommand         `cmd:"" help:"Run a node in the foreground."`
	Start        startCommand         `cmd:"" help:"Run a node in the background."`
	Stop         stopCommand          `cmd:"" help:"Stop a node gracefully."`
	Status       statusCommand        `cmd:"" help:"Show how a node stands."`
	Send         sendCommand          `cmd:"" help:"Send messages."`
	Receive      receiveCommand       `cmd:"" help:"Receive messages."`
	Browse       browseCommand        `cmd:"" help:"Look at a queue's messages without taking them."`
	Queue        queueCommands        `cmd:"" help:"List, show, create, delete, purge, pause and resume queues."`
	Topic        topicCommands        `cmd:"" help:"List topics."`
	Subscription subscriptionCommands `cmd:"" help:"List and delete durable subscriptions and sessions."`
	Query        queryCommand         `cmd:"" help:"Print a queue's attributes as ActiveMQ's query does."`
	Cluster      clusterCommands      `cmd:"" help:"List a cluster's members, hand over, replace a dead one, and what to do in emergencies."`
	Config       configCommands       `cmd:"" help:"Check or show the configuration."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// exit is an exit code that is not 1; what there was to say has been said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is one that the command line could not be read without.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run runs one command and returns the exit code.
func run(ctx context.Context, args []string, s *streams) (code int) {
	defer func() { // kong ends --help and --version by calling Exit
		if r := recover(); r != nil {
			e, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	var c commands
	k, err := kong.New(&c, kong.Name("havenmq"), kong.Description("A highly available message broker: AMQP 1.0, MQTT and STOMP on one durable log."),
		kong.Vars{"version": versionLine()}, kong.Writers(s.out, s.err), kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s),
		kong.Resolvers(environment(s.environ)))
	if err != nil {
		panic(err) // the structs above are wrong
	}
	if len(args) > 0 && args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := k.Parse(args)
	if err != nil {
		return complain(s, usageError{misread(args, err)})
	}
	return complain(s, parsed.Run())
}

var unitless = regexp.MustCompile(`missing unit in duration "?(\d+)"?`)

// misread is kong's complaint, in words for who does not know Go.
func misread(args []string, err error) error {
	if len(args) > 0 && strings.HasPrefix(err.Error(), "unexpected argument "+args[0]) {
		return fmt.Errorf("unknown command %q", args[0])
	}
	if m := unitless.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%w: write %ss", err, m[1])
	}
	return err
}

// complain says what went wrong and returns the exit code.
func complain(s *streams, err error) int {
	var code exit
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "havenmq: %v\nTry `havenmq --help`, or --help behind a command: it has an example.\n", err)
		return exitUsage
	}
	fmt.Fprintf(s.err, "havenmq: %v\n", err)
	return exitFailed
}

// environment reads the variables that flags name from what the process was given.
func environment(environ []string) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if value, _ := lookup(environ, flag.Tag.Get("variable")); value != "" {
			return value, nil
		}
		return nil, nil
	})
}

// lookup is os.LookupEnv of what the process was given.
func lookup(environ []string, name string) (value string, set bool) {
	for _, e := range environ {
		if k, v, _ := strings.Cut(e, "="); k == name {
			return v, true
		}
	}
	return "", false
}

func versionLine() string {
	line := "havenmq " + version
	if b, ok := debug.ReadBuildInfo(); ok {
		line += " " + b.GoVersion
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				line += " " + s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	return line
}

// nodeFlag names the node that a command asks.
type nodeFlag struct {
	Node string `help:"Admin URL of the node to ask (HAVENMQ_NODE)." default:"http://127.0.0.1:8161" variable:"HAVENMQ_NODE" placeholder:"URL"`
}

func (f nodeFlag) client() (*client.Client, error) {
	c, err := client.New(f.Node)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// outputFlag says how a listing is printed.
type outputFlag struct {
	Output string `short:"o" help:"How to print: table or json." enum:"table,json" default:"table"`
}
