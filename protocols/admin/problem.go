package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/havenmq/havenmq/core"
)

// Problem is an error as RFC 9457 has it. Code is stable: scripts may compare it.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

// problems maps the core's codes; what is not listed is a fault of ours.
var problems = map[core.Code]Problem{
	core.CodeInvalid:        {"The request makes no sense", http.StatusBadRequest, "invalid", ""},
	core.CodeNotFound:       {"Not found", http.StatusNotFound, "not-found", ""},
	core.CodeInUse:          {"It is in use", http.StatusConflict, "in-use", ""},
	core.CodeUnauthorized:   {"Who you are is not known", http.StatusUnauthorized, "unauthorized", ""},
	core.CodeForbidden:      {"You may not do this", http.StatusForbidden, "forbidden", ""},
	core.CodeFull:           {"A limit is reached", http.StatusInsufficientStorage, "full", ""},
	core.CodeTooLarge:       {"It is too large", http.StatusRequestEntityTooLarge, "too-large", ""},
	core.CodeNotImplemented: {"Not supported yet", http.StatusNotImplemented, "not-implemented", ""},
	core.CodeShutdown:       {"The node does not serve", http.StatusServiceUnavailable, "shutdown", ""},
}

// problemOf turns any error into what the client reads.
func problemOf(err error) Problem {
	var own *Problem
	if errors.As(err, &own) {
		return *own
	}
	var ce *core.Error
	if errors.As(err, &ce) {
		if p, ok := problems[ce.Code]; ok {
			p.Detail = ce.Error()
			return p
		}
	}
	return Problem{"A fault of the broker", http.StatusInternalServerError, "internal", err.Error()}
}

func badRequest(detail string) error {
	return &Problem{"The request makes no sense", http.StatusBadRequest, "invalid", detail}
}

func notFound(detail string) error {
	return &Problem{"Not found", http.StatusNotFound, "not-found", detail}
}

func writeProblem(w http.ResponseWriter, p Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	// The client went away if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(p)
}
