package main

import (
	"fmt"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/cmd/internal/node"
)

// configFlags say what the configuration is made of.
type configFlags struct {
	Config string `help:"The configuration file; without one a standalone node runs on defaults (HAVENMQ_CONFIG)." variable:"HAVENMQ_CONFIG" placeholder:"FILE"`
	Data   string `help:"The data directory (dataDirectory); default ./data." placeholder:"DIR"`
}

func (f configFlags) source(s *streams) config.Source {
	return config.Source{File: f.Config, Data: f.Data, Environ: s.environ}
}

// serveFlags are those of serve and start.
type serveFlags struct {
	configFlags
	Transport []string `help:"A connector to listen on, such as amqp://127.0.0.1:5672; replaces the configured list, may be repeated." placeholder:"URI" sep:"none"`
	Admin     *string  `help:"Address of health, metrics and the API (admin.address); empty switches them off." placeholder:"HOST:PORT"`
	LogLevel  string   `help:"How much to log: debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
}

func (f serveFlags) load(s *streams) (*config.Loaded, error) {
	src := f.source(s)
	src.Transports, src.Admin = f.Transport, f.Admin
	l, err := config.Load(src)
	if err != nil {
		return nil, err
	}
	return l, node.Supported(l.Config)
}

// configCommands are `havenmq config …`.
type configCommands struct {
	Check configCheck `cmd:"" help:"Say what is wrong with a configuration file."`
	Show  configShow  `cmd:"" help:"Print the whole configuration: defaults, file, environment and flags together."`
}

type configCheck struct {
	File string `arg:"" help:"The configuration file."`
}

func (configCheck) Help() string { return "Example: havenmq config check havenmq.yaml" }

func (c *configCheck) Run(s *streams) error {
	l, err := config.Load(config.Source{File: c.File, Environ: s.environ})
	if err != nil {
		return err
	}
	for _, w := range l.Warnings {
		fmt.Fprintf(s.err, "warning: %s\n", w)
	}
	if err := node.Supported(l.Config); err != nil {
		_, err = fmt.Fprintf(s.out, "%s is valid, but `serve` refuses it: %v\n", c.File, err)
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is valid.\n", c.File)
	return err
}

type configShow struct {
	serveFlags
	Effective bool `help:"Print what is in effect; this is the default." default:"true"`
}

func (configShow) Help() string {
	return "Example: havenmq config show --effective --config havenmq.yaml"
}

func (c *configShow) Run(s *streams) error {
	src := c.source(s)
	src.Transports, src.Admin = c.Transport, c.Admin
	l, err := config.Load(src)
	if err != nil {
		return err
	}
	for _, w := range l.Warnings {
		fmt.Fprintf(s.err, "warning: %s\n", w)
	}
	text, err := l.Effective()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(s.out, text)
	return err
}
