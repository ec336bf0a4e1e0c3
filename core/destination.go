package core

// Kind is what a destination is.
type Kind uint8

const (
	Queue Kind = iota + 1
	Topic
	TempQueue
	TempTopic
)

// Destination is a kind and a name of levels joined by '.', in the core's own spelling (wildcards '*' and '>').
// It is comparable and may key a map.
type Destination struct {
	Kind Kind
	Name string
}
