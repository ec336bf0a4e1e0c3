// Package courier sends, receives and browses messages over AMQP, MQTT and STOMP, as any client would. The commands
// send, receive and browse are made of it.
//
//	Open(url) ──► Conn ──► Send · Receive · Browse
//	  amqp://     Azure/go-amqp
//	  mqtt://     eclipse/paho.golang, MQTT 5
//	  stomp://    stomp.go here, STOMP 1.2
//
// Destinations are given in the core's spelling, queue://A.B and topic://A.B, and translated to each protocol's.
//
// Invariants: Send returns when the broker has confirmed. A message that Receive returned is acknowledged by Ack, not
// before; at most one is unacknowledged. An error that another broker or a later attempt may not have is Lost or Full.
package courier
