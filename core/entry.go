package core

import "github.com/havenmq/havenmq/persist"

type entry struct {
	seq persist.Seq
}
