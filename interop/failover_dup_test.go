package interop

import (
	"fmt"

	"github.com/Azure/go-amqp"
	"github.com/eclipse/paho.golang/paho"
)

// What its sender repeats under an id of its own is there once, whichever protocol it comes by, and whoever is master.
func duplicatesSurvive(f *failover) {
	const key = "_AMQ_DUPL_ID"
	byAMQP := func(id string) {
		f.Helper()
		conn, session := f.amqp("") // another container-id each time
		s, err := session.NewSender(f.ctx(), "queue://single", nil)
		if err != nil {
			f.Fatal(err)
		}
		m := amqp.NewMessage([]byte(id + " by AMQP"))
		m.Header, m.ApplicationProperties = &amqp.MessageHeader{Durable: true, Priority: 4}, map[string]any{key: id}
		if err := s.Send(f.ctx(), m, nil); err != nil {
			f.Fatal(err)
		}
		_ = conn.Close() // all is confirmed
	}
	bySTOMP := func(id string) {
		f.Helper()
		dialSTOMP(f.T, f.master, "").say(fmt.Sprintf("SEND destination:/queue/single persistent:true %s:%s|%s by STOMP", key, id, id))
	}
	byTx := func(ids ...string) {
		f.Helper()
		c := dialSTOMP(f.T, f.master, "")
		c.say("BEGIN transaction:t")
		for _, id := range ids {
			c.say(fmt.Sprintf("SEND destination:/queue/single transaction:t persistent:true %s:%s|%s by transaction", key, id, id))
		}
		c.say("COMMIT transaction:t")
	}
	byMQTT := func(id string, qos byte) {
		f.Helper()
		c := dialMQTT(f.T, f.master, "single-publisher", lasting)
		p := &paho.Publish{Topic: "$queue/single", Payload: []byte(id + " by MQTT"), QoS: qos, Properties: &paho.PublishProperties{}}
		p.Properties.User.Add(key, id)
		if _, err := c.Publish(c.context(), p); err != nil {
			f.Fatal(err)
		}
		c.leave()
	}
	byAMQP("a")
	bySTOMP("s")
	byMQTT("m1", 1)
	byMQTT("m2", 2)
	byTx("t1", "t2")
	for range 2 {
		f.over()
		bySTOMP("a")
		byMQTT("s", 1)
		byAMQP("m1")
		byMQTT("m2", 2)
		byTx("t2", "m1", "t1")
	}
	byTx("t1", "t3")
	if rest := f.rest("single"); fmt.Sprint(rest) != "map[a:1 m1:1 m2:1 s:1 t1:1 t2:1 t3:1]" {
		f.Errorf("the queue holds %v", rest) // an id of a message is its first word
	}
}

// A queue that an operator made, or paused, is there on the next master, empty as it is.
func madeQueuesSurvive(f *failover) {
	var queue struct{ Paused bool }
	if _, err := f.c.Command("queue", "create", "made.empty", "--node", f.master.Admin()); err != nil {
		f.Fatal(err)
	}
	f.over()
	if err := f.master.API("/api/v1/queues/made.empty", &queue); err != nil || queue.Paused {
		f.Fatalf("%+v, %v", queue, err)
	}
	if _, err := f.c.Command("queue", "pause", "made.empty", "--node", f.master.Admin()); err != nil {
		f.Fatal(err)
	}
	f.over()
	if err := f.master.API("/api/v1/queues/made.empty", &queue); err != nil || !queue.Paused {
		f.Errorf("%+v, %v", queue, err)
	}
	if _, err := f.c.Command("queue", "delete", "made.empty", "--node", f.master.Admin()); err != nil {
		f.Fatal(err)
	}
	f.over()
	if err := f.master.API("/api/v1/queues/made.empty", &queue); err == nil {
		f.Errorf("deleted, and it is there: %+v", queue)
	}
}
