// Package pidfile says which process serves a data directory.
//
// The file holds the process id and a newline, as `kill $(cat data/havenmq.pid)` wants it. The process keeps it locked
// as long as it lives, so that a number which a crash left behind is never taken for a process that runs.
package pidfile
