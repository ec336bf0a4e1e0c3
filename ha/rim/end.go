package rim

import "github.com/havenmq/havenmq/ha"

// end ends the node, once: no event is stepped any more, and everything is closed. It returns when that is done.
func (r *Rim) end(why Exit) {
	r.ending.Do(func() {
		defer close(r.done)
		r.mu.Lock()
		r.closed, r.exit = true, why
		if r.serving != 0 {
			r.roles.put(func() { r.o.Roles.StopServing(why.Reason, nil) })
		}
		r.unlisten()
		for _, p := range r.peers {
			p.hang()
		}
		r.mu.Unlock()
		r.cancel()
		r.intake.close()
		if err := r.o.Elector.Close(); err != nil { // early: the others need not wait for the session to expire
			r.tell(ha.Warn, "leaving the elector: %v", err)
		}
		r.asks.close(true)
		r.roles.close(false)
		r.linked.Wait()
		r.disk.close(true)
		if s := r.store.Load(); s != nil {
			s.GiveUp()
		}
		r.working.Wait()
		if err := r.closeStore(); err != nil {
			r.tell(ha.Warn, "closing the store: %v", err)
		}
		r.tells.close(false)
		r.telling.Wait()
	})
	<-r.done
}
