package api

import (
	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/api/wire"
)

// What the queue tells, as the API spells it. An empty list is a list.

// event is spelled as the queue spells it: a test holds the two together.
func event(e queue.Event) wire.Event {
	out := wire.Event{
		Seq: e.Seq, At: e.At, Kind: string(e.Kind), State: wire.State(e.State),
		Attempt: e.Attempt, Part: e.Part, Route: e.Route, Identity: e.Identity, Ref: e.Ref,
		Code: e.Code, Detail: e.Detail, By: e.By, Until: e.Until,
	}
	if e.Msg != 0 {
		out.Msg = e.Msg.String()
	}
	return out
}

func story(list []queue.Event) []wire.Event {
	out := make([]wire.Event, len(list))
	for i, e := range list {
		out[i] = event(e)
	}
	return out
}

func changes(list []queue.Change) []wire.Change {
	out := make([]wire.Change, len(list))
	for i, c := range list {
		out[i] = wire.Change(c)
	}
	return out
}

// kinds are texts in the API: a webhook may want one that is younger than its
// client.
func kinds[To, From ~string](list []From) []To {
	out := make([]To, len(list))
	for i, k := range list {
		out[i] = To(k)
	}
	return out
}

func inboundParts(list []queue.InboundPart) []wire.InboundPart {
	out := make([]wire.InboundPart, len(list))
	for i, p := range list {
		out[i] = wire.InboundPart(p)
	}
	return out
}

func placeholders(list []outreach.Placeholder) []wire.Placeholder {
	out := make([]wire.Placeholder, len(list))
	for i, p := range list {
		out[i] = wire.Placeholder(p)
	}
	return out
}
