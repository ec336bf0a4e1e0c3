package persist

// flushTicks is after how many calls of keep what was applied is written at the latest.
const flushTicks = 50

// keep does what must be done now and then: see seam.go. An idle index costs it a few comparisons.
func (x *Index) keep(leading bool) error {
	err := x.keepUp(leading)
	if err != nil && !passing(err) {
		err = x.mark(err)
	}
	return err
}

func (x *Index) keepUp(leading bool) error {
	x.mu.RLock()
	err, trim, flushed := x.broken, x.trim, x.flushed
	dirty, pos := x.now.bytes+x.frozenBytes(), x.pos
	x.mu.RUnlock()
	if err != nil {
		return err
	}
	x.ticks++
	obeyed := trim.to <= x.log.logStart()
	if pos != flushed && (dirty > x.budget || x.ticks >= flushTicks || !obeyed && !x.weaken["trim-flushed"]) {
		x.ticks = 0
		if err := x.flush(); err != nil {
			return err
		}
	}
	if !obeyed {
		return x.dropTrimmed()
	}
	if !leading {
		x.relocator.until = 0
		return nil
	}
	if pos < x.relocator.until {
		return nil
	}
	if trimmed, err := x.trimDead(); trimmed || err != nil {
		return err
	}
	return x.relocateHead()
}

// frozenBytes is what is frozen; mu is held.
func (x *Index) frozenBytes() int64 {
	if x.frozen == nil {
		return 0
	}
	return x.frozen.bytes
}

// dropTrimmed obeys the TRIM, if the index was flushed past it: applied is committed, and flushed is synced.
func (x *Index) dropTrimmed() error {
	x.mu.RLock()
	trim, flushed := x.trim, x.flushed
	x.mu.RUnlock()
	if flushed <= trim.at && !x.weaken["trim-flushed"] {
		return nil
	}
	return x.log.dropSegmentsBelow(trim.to)
}
