// Command havenmq is the broker and everything that an operator does with one.
//
//	havenmq serve | start | stop | status       a node
//	havenmq send | receive | browse             messages, over any protocol
//	havenmq queue | topic | subscription        destinations, through a node's API
//	havenmq query -QQueue=NAME                  what ActiveMQ's query prints
//	havenmq config check | show                 the configuration
//
// A command is a struct of its flags (kong) with a Run method. run is the whole program but for the process: tests call
// it. Results go to stdout, everything else to stderr.
//
// Exit codes: 0 it worked, 1 it failed, 2 it was asked wrongly; `status` also 3 replica and 4 electing.
package main
