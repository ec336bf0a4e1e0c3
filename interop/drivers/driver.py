"""Drives qpid-proton, paho-mqtt and stomp.py for the tests: one JSON job a line in, one JSON answer a line out.

{"id":1,"op":"open","lib":"proton|paho4|paho5|stomp|stomp10|stomp11","port":N,"name":"..."}            -> {"id":1,"conn":1}
{"id":2,"op":"subscribe","conn":1,"address":"queue://a"}                               -> {"id":2,"sub":1}
{"id":3,"op":"send","conn":1,"address":"queue://a","message":{...}}  after confirmation -> {"id":3}
{"id":4,"op":"receive","sub":1,"timeoutMs":5000}                                       -> {"id":4,"message":{...}}
{"id":5,"op":"unsubscribe","sub":1}    {"id":6,"op":"close","conn":1}

A message has "text" or "bytes" (base64), "properties", "replyTo", "correlation", "contentType"; one that was received has "kind" (text,
bytes, or what else it was) and "body" (base64) for the first two. Errors answer {"id":N,"error":"..."}.
"""

import base64
import json
import queue
import sys
import threading

import paho.mqtt.client as mqtt
import proton
import proton.utils
import stomp
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

TIMEOUT = 10


def encode(body):
    return base64.b64encode(body).decode()


def body_of(message):
    """The bytes that a message's body is made of."""
    if "text" in message:
        return message["text"].encode()
    return base64.b64decode(message["bytes"])


class Proton:
    def __init__(self, port, name, _lib):
        self.conn = proton.utils.BlockingConnection(f"amqp://127.0.0.1:{port}", timeout=TIMEOUT, sasl_enabled=True,
                                                    allowed_mechs="ANONYMOUS", container=None)
        self.senders = {}

    def subscribe(self, address):
        return ProtonSubscription(self.conn.create_receiver(address, credit=10))

    def send(self, address, message):
        if address not in self.senders:
            self.senders[address] = self.conn.create_sender(address)
        body = message["text"] if "text" in message else base64.b64decode(message["bytes"])
        m = proton.Message(body=body, durable=True, properties=message.get("properties"),
                           reply_to=message.get("replyTo"), correlation_id=message.get("correlation"))
        m.inferred = "bytes" in message  # a data section; without it bytes go as a value
        if "contentType" in message:
            m.content_type = message["contentType"]
        self.senders[address].send(m, timeout=TIMEOUT)

    def close(self):
        self.conn.close()


class ProtonSubscription:
    def __init__(self, receiver):
        self.receiver = receiver

    def receive(self, seconds):
        m = self.receiver.receive(timeout=seconds)
        self.receiver.accept()
        out = {"properties": m.properties, "replyTo": m.reply_to, "contentType": m.content_type}
        if isinstance(m.body, str):
            out.update(kind="text", body=encode(m.body.encode()))
        elif isinstance(m.body, (bytes, memoryview)):
            out.update(kind="bytes", body=encode(bytes(m.body)))
        else:
            out.update(kind=type(m.body).__name__, body=encode(repr(m.body).encode()))
        if m.correlation_id is not None:
            c = m.correlation_id
            out["correlation"] = bytes(c).decode() if isinstance(c, (bytes, memoryview)) else str(c)
        return out

    def close(self):
        self.receiver.close()


class Paho:
    def __init__(self, port, name, lib):
        self.version = mqtt.MQTTv5 if lib == "paho5" else mqtt.MQTTv311
        self.inbox = {}
        self.connected = queue.Queue()
        self.subscribed = queue.Queue()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=self.version)
        self.client.on_connect = lambda c, u, flags, reason, props: self.connected.put(reason)
        self.client.on_subscribe = lambda c, u, mid, reasons, props: self.subscribed.put(reasons)
        self.client.on_unsubscribe = lambda c, u, mid, reasons, props: self.subscribed.put([])
        self.client.on_message = self.on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        reason = self.connected.get(timeout=TIMEOUT)
        if reason.is_failure:
            raise RuntimeError(f"CONNACK {reason}")

    def on_message(self, client, userdata, m):
        inbox = self.inbox.get(m.topic)
        if inbox is None:
            print(f"paho: a message on {m.topic}, which nobody asked for", file=sys.stderr, flush=True)
            return
        inbox.put(self.message(m))

    def message(self, m):
        out = {"kind": "bytes", "body": encode(m.payload)}
        p = m.properties
        if p is None:
            return out
        if getattr(p, "PayloadFormatIndicator", 0) == 1:
            out["kind"] = "text"
        out["properties"] = dict(getattr(p, "UserProperty", []))
        out["replyTo"] = getattr(p, "ResponseTopic", None)
        out["contentType"] = getattr(p, "ContentType", None)
        if hasattr(p, "CorrelationData"):
            out["correlation"] = p.CorrelationData.decode()
        return out

    def subscribe(self, address):
        inbox = self.inbox[address] = queue.Queue()
        if self.version == mqtt.MQTTv5:
            self.client.subscribe(address, options=SubscribeOptions(qos=1))
        else:
            self.client.subscribe(address, qos=1)
        for reason in self.subscribed.get(timeout=TIMEOUT):
            if reason.is_failure:
                raise RuntimeError(f"SUBACK {reason}")
        return PahoSubscription(self, address, inbox)

    def send(self, address, message):
        props = None
        if self.version == mqtt.MQTTv5:
            props = Properties(PacketTypes.PUBLISH)
            if "text" in message:
                props.PayloadFormatIndicator = 1
            for k, v in message.get("properties", {}).items():
                props.UserProperty = (k, v)
            if "replyTo" in message:
                props.ResponseTopic = message["replyTo"]
            if "correlation" in message:
                props.CorrelationData = message["correlation"].encode()
            if "contentType" in message:
                props.ContentType = message["contentType"]
        info = self.client.publish(address, body_of(message), qos=1, properties=props)
        info.wait_for_publish(TIMEOUT)
        if not info.is_published():
            raise RuntimeError("no PUBACK")

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class PahoSubscription:
    def __init__(self, conn, address, inbox):
        self.conn, self.address, self.inbox = conn, address, inbox

    def receive(self, seconds):
        return self.inbox.get(timeout=seconds)

    def close(self):
        self.conn.client.unsubscribe(self.address)
        self.conn.subscribed.get(timeout=TIMEOUT)
        del self.conn.inbox[self.address]


class Stomp(stomp.ConnectionListener):
    # Headers that STOMP itself or the mapping gives a meaning; all others are properties.
    OWN = {"destination", "message-id", "subscription", "ack", "content-length", "content-type", "reply-to", "correlation-id",
           "persistent", "priority", "timestamp", "expires", "redelivered", "type", "receipt", "receipt-id"}

    VERSIONS = {"stomp10": stomp.Connection10, "stomp11": stomp.Connection11, "stomp": stomp.Connection12}

    def __init__(self, port, name, lib):
        self.receipts = {}
        self.errors = queue.Queue()
        self.inbox = {}
        self.next = 0
        connection = self.VERSIONS[lib]
        self.conn = connection([("127.0.0.1", port)], auto_decode=False, auto_content_length=False, reconnect_attempts_max=1)
        self.conn.set_listener("", self)
        self.conn.connect(wait=True, headers={"client-id": name})

    def on_receipt(self, frame):
        event = self.receipts.get(frame.headers["receipt-id"])
        if event:  # else it answers the library's own DISCONNECT
            event.set()

    def on_error(self, frame):
        self.errors.put(f"ERROR {frame.headers} {frame.body}")
        for event in self.receipts.values():
            event.set()

    def on_message(self, frame):
        h = frame.headers
        body = frame.body if isinstance(frame.body, bytes) else frame.body.encode()
        text = "content-length" not in h or h.get("content-type", "").startswith("text/")
        out = {"kind": "text" if text else "bytes", "body": encode(body), "replyTo": h.get("reply-to"),
               "correlation": h.get("correlation-id"), "contentType": h.get("content-type"),
               "properties": {k: v for k, v in h.items() if k not in self.OWN}}
        self.inbox[h["subscription"]].put(out)

    def confirmed(self, do):
        self.next += 1
        receipt = f"r{self.next}"
        event = self.receipts[receipt] = threading.Event()
        do(receipt)
        ok = event.wait(TIMEOUT)
        del self.receipts[receipt]
        if not self.errors.empty():
            raise RuntimeError(self.errors.get())
        if not ok:
            raise RuntimeError("no RECEIPT")

    def subscribe(self, address):
        self.next += 1
        sid = f"s{self.next}"
        self.inbox[sid] = queue.Queue()
        self.confirmed(lambda r: self.conn.subscribe(address, id=sid, ack="auto", headers={"receipt": r}))
        return StompSubscription(self, sid)

    def send(self, address, message):
        headers = {"persistent": "true"}
        headers.update(message.get("properties", {}))
        for name, key in (("replyTo", "reply-to"), ("correlation", "correlation-id"), ("contentType", "content-type")):
            if name in message:
                headers[key] = message[name]
        if "text" in message:
            body = message["text"]
        else:
            body = base64.b64decode(message["bytes"])
            headers["content-length"] = len(body)
        self.confirmed(lambda r: self.conn.send(address, body, headers={**headers, "receipt": r}))

    def close(self):
        self.conn.disconnect()


class StompSubscription:
    def __init__(self, conn, sid):
        self.conn, self.sid = conn, sid

    def receive(self, seconds):
        return self.conn.inbox[self.sid].get(timeout=seconds)

    def close(self):
        self.conn.confirmed(lambda r: self.conn.conn.unsubscribe(self.sid, headers={"receipt": r}))


LIBS = {"proton": Proton, "paho4": Paho, "paho5": Paho, "stomp": Stomp, "stomp10": Stomp, "stomp11": Stomp}


class Driver:
    def __init__(self):
        self.handles = {}

    def keep(self, thing):
        handle = len(self.handles) + 1
        self.handles[handle] = thing
        return handle

    def do(self, job):
        op = job["op"]
        if op == "open":
            return {"conn": self.keep(LIBS[job["lib"]](job["port"], job["name"], job["lib"]))}
        if op == "subscribe":
            return {"sub": self.keep(self.handles[job["conn"]].subscribe(job["address"]))}
        if op == "send":
            self.handles[job["conn"]].send(job["address"], job["message"])
            return {}
        if op == "receive":
            return {"message": self.handles[job["sub"]].receive(job["timeoutMs"] / 1000)}
        if op in ("unsubscribe", "close"):
            self.handles[job.get("sub") or job["conn"]].close()
            return {}
        raise ValueError(f"no such op: {op}")


def main():
    driver = Driver()
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = driver.do(job)
        except queue.Empty:
            answer = {"error": "nothing came"}
        except Exception as e:  # whatever a library throws is the test's business
            answer = {"error": f"{type(e).__name__}: {e}"}
        answer["id"] = job["id"]
        print(json.dumps(answer), flush=True)


main()
