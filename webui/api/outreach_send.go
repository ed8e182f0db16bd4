package api

import (
	"strings"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/api/wire"
)

// draftOf reads a message of the API, with what a template, a contact and a
// booking that it names have to say, if its reader may be told that.
func (a *API) draftOf(c *call, in wire.Send) (queue.Draft, error) {
	d, err := a.completed(c, in)
	if err != nil {
		return d, err
	}
	return d, a.outreach.Agreed(d, outreach.Said{Consents: in.Consents, Proof: (*outreach.Proof)(in.Consent)})
}

func (a *API) completed(c *call, in wire.Send) (queue.Draft, error) {
	named := outreach.Single{Template: in.Template, Vars: in.Vars, Contact: in.Contact, Booking: in.Event}
	if named.IsZero() {
		return draft(c, in)
	}
	given := strings.TrimSpace(in.To)
	if given == "" {
		in.To = "-" // the contact has it
	}
	d, err := draft(c, in)
	if err != nil {
		return d, err
	}
	d.To = given
	return a.outreach.Fill(d, named)
}
