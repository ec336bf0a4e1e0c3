package persist

// tailCheck marks the finds that operations of the tail speak of: they are left to the next look, as what the tail says
// of them is not in the cut.
type tailCheck struct {
	entries map[entryKey]*find
	names   map[Pos]*find
	queues  map[QueueID][]*find
	rows    map[string]*find
}

// entryKey is an entry's queue and place.
type entryKey struct {
	q QueueID
	s Seq
}

func newTailCheck(finds []*find) *tailCheck {
	t := &tailCheck{entries: map[entryKey]*find{}, names: map[Pos]*find{}, queues: map[QueueID][]*find{}, rows: map[string]*find{}}
	for _, f := range finds {
		if f.key != "" {
			t.rows[f.key] = f
			continue
		}
		t.names[f.name] = f
		for _, e := range f.entries {
			t.entries[entryKey{e.Queue, e.Seq}] = f
			if list := t.queues[e.Queue]; len(list) == 0 || list[len(list)-1] != f {
				t.queues[e.Queue] = append(list, f)
			}
		}
	}
	return t
}

func drop(f *find) {
	if f != nil {
		f.dropped = true
	}
}

// see looks at one operation of the tail. What a prepared transaction holds counts as done, and stands behind its
// TX_COMMIT again.
func (t *tailCheck) see(op *Op) {
	switch op.Code {
	case CodeEnqueue:
		drop(t.names[op.Message])
	case CodeSettle:
		t.seeSettle(op)
	case CodeAttempt, CodeAssign, CodeMove: // what a MOVE takes further was here before, or is no find
		drop(t.entries[entryKey{op.Queue, op.Seq}])
	case CodePurge:
		for _, f := range t.queues[op.Queue] {
			f.dropped = true
		}
	case CodePut, CodeDelete:
		drop(t.rows[string(tableKey(nil, op.Table, op.Key))])
	case CodeConfig:
		drop(t.rows[string([]byte{keyConfig})])
	case CodeTxPrepare, CodeTxCommit, CodeTxRollback:
		drop(t.rows[string(preparedKey(op.Key))])
	}
}

func (t *tailCheck) seeSettle(op *Op) {
	if len(t.queues[op.Queue]) == 0 {
		return
	}
	for _, r := range op.Ranges {
		if r.Last-r.First > Seq(len(t.entries)) {
			for at, f := range t.entries {
				f.dropped = f.dropped || at.q == op.Queue && at.s >= r.First && at.s <= r.Last
			}
			continue
		}
		for s := r.First; s <= r.Last; s++ {
			drop(t.entries[entryKey{op.Queue, s}])
		}
	}
}
