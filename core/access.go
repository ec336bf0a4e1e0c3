package core

// Identity is who a connection proved to be.
type Identity struct {
	User      string // "" is anonymous
	Anonymous bool
	Groups    []string
}

// Authenticator says who a connection is. Authenticate runs on the connection's own goroutine with its lock held and no
// other: it may take the time that bcrypt takes. What it refuses with should be an *Error with CodeUnauthorized; any
// other error is answered as one.
type Authenticator interface {
	Authenticate(r *ConnectRequest, remote string) (Identity, error)
}

// Action is what an Authorizer is asked about.
type Action uint8

const (
	ActionRead  Action = iota + 1 // consume, browse, subscribe
	ActionWrite                   // publish
	ActionAdmin                   // create and delete destinations
)

// Authorizer says whether somebody may do something to a destination. It is asked once per route and subscription, not
// per message, must be quick, and may be called from any goroutine. nil is yes.
type Authorizer interface {
	Authorize(who *Identity, a Action, d Destination) error
}

// AllowAll is the Authenticator and Authorizer of a broker that nobody gave one: everybody is who they say, and may.
type AllowAll struct{}

// Authenticate takes the user's name as it is.
func (AllowAll) Authenticate(r *ConnectRequest, _ string) (Identity, error) {
	if !r.HasLogin {
		return Identity{Anonymous: true}, nil
	}
	return Identity{User: r.User}, nil
}

// Authorize says yes.
func (AllowAll) Authorize(*Identity, Action, Destination) error { return nil }
