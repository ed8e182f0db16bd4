package queue

import (
	"maps"
	"slices"

	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// How a message and an event are written. They are what take, settle and
// report write again and again; as JSON they cost more time than all the rest
// of a commit, and three times the pages. A number below belongs to its field
// for ever; a new field takes the next one. TestEveryFieldIsWritten notices a
// field that was forgotten.

func writeMessage(m *Message, f *store.Fields) {
	f.Fixed(1, uint64(m.ID))
	f.Str(2, m.Till)
	f.Str(3, m.Ref)
	f.Str(4, string(m.State))
	writeReason(f, 5, m.Why)
	f.Str(6, m.To)
	f.Str(7, m.Country)
	f.Str(8, m.From)
	f.Str(9, m.Given)
	f.Str(10, m.Alphabet)
	f.Int(11, m.Shift)
	f.Int(12, m.Locking)
	f.Int(13, m.RefBits)
	for _, s := range m.Segments {
		f.Sub(14, func(f *store.Fields) {
			f.Str(1, s.Text)
			f.Int(2, s.Units)
		})
	}
	for _, c := range m.Changes {
		f.Sub(15, func(f *store.Fields) {
			f.Str(1, c.From)
			f.Str(2, c.To)
			f.Int(3, c.Position)
		})
	}
	if m.Price != (text.Price{}) {
		f.Sub(16, func(f *store.Fields) {
			f.Int(1, int(m.Price.Amount))
			f.Str(2, m.Price.Currency)
		})
	}
	f.Str(17, string(m.Class))
	f.Int(18, m.Priority)
	f.Bool(19, m.Report)
	f.Bool(20, m.Flash)
	f.Str(21, m.OnUnknown)
	f.Str(22, m.OnPartial)
	f.Str(23, m.Lang)
	f.Str(24, m.Pool)
	f.Bool(25, m.Asked)
	f.Str(26, m.Pin)
	f.Time(27, m.Created)
	f.Time(28, m.Updated)
	f.Time(29, m.At)
	f.Time(30, m.Due)
	f.Time(31, m.Expires)
	f.Time(32, m.Wake)
	f.Time(33, m.Took)
	f.Time(34, m.Settled)
	f.Time(35, m.Misses)
	f.Int(36, m.Attempt)
	f.Int(37, m.Tried)
	f.Int(38, m.Missed)
	f.Int(39, m.Resent)
	f.Str(40, m.Route)
	f.Str(41, m.Identity)
	f.Int(42, m.Charged)
	f.Str(43, m.Doubt)
	f.Time(44, m.DoubtAt)
	f.Int(45, m.ConcatRef)
	f.Bool(46, m.Relayed)
	f.Bool(47, m.Wiped)
	for _, p := range m.Parts {
		f.Sub(48, func(f *store.Fields) { writePart(&p, f) })
	}
	for _, seq := range m.Events {
		f.Uint(49, seq)
	}
	f.Str(50, m.Source)
	f.Str(51, m.Contact)
	f.Str(52, m.Booking)
	f.Str(53, string(m.Channel))
	f.Str(54, m.Other)
	f.Bool(55, m.Fell)
	f.Str(56, m.Subject)
	f.Int(57, m.HTML)
}

func readMessage(m *Message, r *store.Reader) {
	switch r.Field {
	case 1:
		m.ID = ID(r.Uint())
	case 2:
		m.Till = r.Str()
	case 3:
		m.Ref = r.Str()
	case 4:
		m.State = State(known(r))
	case 5:
		m.Why = readReason(r)
	case 6:
		m.To = r.Str()
	case 7:
		m.Country = known(r)
	case 8:
		m.From = r.Str()
	case 9:
		m.Given = r.Str()
	case 10:
		m.Alphabet = known(r)
	case 11:
		m.Shift = r.Int()
	case 12:
		m.Locking = r.Int()
	case 13:
		m.RefBits = r.Int()
	case 14:
		var s route.Segment
		r.Sub(func(r *store.Reader) {
			switch r.Field {
			case 1:
				s.Text = r.Str()
			case 2:
				s.Units = r.Int()
			}
		})
		m.Segments = append(m.Segments, s)
	case 15:
		var c Change
		r.Sub(func(r *store.Reader) {
			switch r.Field {
			case 1:
				c.From = r.Str()
			case 2:
				c.To = r.Str()
			case 3:
				c.Position = r.Int()
			}
		})
		m.Changes = append(m.Changes, c)
	case 16:
		r.Sub(func(r *store.Reader) {
			switch r.Field {
			case 1:
				m.Price.Amount = text.Amount(r.Int())
			case 2:
				m.Price.Currency = known(r)
			}
		})
	case 17:
		m.Class = Class(known(r))
	case 18:
		m.Priority = r.Int()
	case 19:
		m.Report = r.Bool()
	case 20:
		m.Flash = r.Bool()
	case 21:
		m.OnUnknown = known(r)
	case 22:
		m.OnPartial = known(r)
	case 23:
		m.Lang = known(r)
	case 24:
		m.Pool = known(r)
	case 25:
		m.Asked = r.Bool()
	case 26:
		m.Pin = r.Str()
	case 27:
		m.Created = r.Time()
	case 28:
		m.Updated = r.Time()
	case 29:
		m.At = r.Time()
	case 30:
		m.Due = r.Time()
	case 31:
		m.Expires = r.Time()
	case 32:
		m.Wake = r.Time()
	case 33:
		m.Took = r.Time()
	case 34:
		m.Settled = r.Time()
	case 35:
		m.Misses = r.Time()
	case 36:
		m.Attempt = r.Int()
	case 37:
		m.Tried = r.Int()
	case 38:
		m.Missed = r.Int()
	case 39:
		m.Resent = r.Int()
	case 40:
		m.Route = r.Str()
	case 41:
		m.Identity = r.Str()
	case 42:
		m.Charged = r.Int()
	case 43:
		m.Doubt = r.Str()
	case 44:
		m.DoubtAt = r.Time()
	case 45:
		m.ConcatRef = r.Int()
	case 46:
		m.Relayed = r.Bool()
	case 47:
		m.Wiped = r.Bool()
	case 48:
		var p Part
		r.Sub(func(r *store.Reader) { readPart(&p, r) })
		m.Parts = append(m.Parts, p)
	case 49:
		m.Events = append(m.Events, r.Uint())
	case 50:
		m.Source = r.Str()
	case 51:
		m.Contact = r.Str()
	case 52:
		m.Booking = r.Str()
	case 53:
		m.Channel = Channel(known(r))
	case 54:
		m.Other = r.Str()
	case 55:
		m.Fell = r.Bool()
	case 56:
		m.Subject = r.Str()
	case 57:
		m.HTML = r.Int()
	}
}

func writePart(p *Part, f *store.Fields) {
	f.Int(1, p.N)
	f.Str(2, string(p.State))
	f.Str(3, p.Route)
	f.Str(4, p.Identity)
	f.Str(5, p.Ref)
	f.Time(6, p.At)
	f.Str(7, p.Code)
}

func readPart(p *Part, r *store.Reader) {
	switch r.Field {
	case 1:
		p.N = r.Int()
	case 2:
		p.State = PartState(known(r))
	case 3:
		p.Route = r.Str()
	case 4:
		p.Identity = r.Str()
	case 5:
		p.Ref = r.Str()
	case 6:
		p.At = r.Time()
	case 7:
		p.Code = known(r)
	}
}

func writeReason(f *store.Fields, field int, why Reason) {
	if why.Code == "" && why.Args == nil {
		return
	}
	f.Sub(field, func(f *store.Fields) {
		f.Str(1, why.Code)
		for _, name := range slices.Sorted(maps.Keys(why.Args)) {
			f.Sub(2, func(f *store.Fields) {
				f.Str(1, name)
				f.Str(2, why.Args[name])
			})
		}
	})
}

func readReason(r *store.Reader) (why Reason) {
	r.Sub(func(r *store.Reader) {
		switch r.Field {
		case 1:
			why.Code = known(r)
		case 2:
			var name, value string
			r.Sub(func(r *store.Reader) {
				switch r.Field {
				case 1:
					name = r.Str()
				case 2:
					value = r.Str()
				}
			})
			if why.Args == nil {
				why.Args = map[string]string{}
			}
			why.Args[name] = value
		}
	})
	return why
}

func writeEvent(e *Event, f *store.Fields) {
	f.Uint(1, e.Seq)
	f.Time(2, e.At)
	f.Str(3, string(e.Kind))
	f.Fixed(4, uint64(e.Msg))
	f.Str(5, string(e.State))
	f.Int(6, e.Attempt)
	f.Int(7, e.Part)
	f.Str(8, e.Route)
	f.Str(9, e.Identity)
	f.Str(10, e.Ref)
	f.Str(11, e.Code)
	f.Str(12, e.Detail)
	f.Str(13, e.By)
	f.Time(14, e.Until)
}

func readEvent(e *Event, r *store.Reader) {
	switch r.Field {
	case 1:
		e.Seq = r.Uint()
	case 2:
		e.At = r.Time()
	case 3:
		e.Kind = Kind(known(r))
	case 4:
		e.Msg = ID(r.Uint())
	case 5:
		e.State = State(known(r))
	case 6:
		e.Attempt = r.Int()
	case 7:
		e.Part = r.Int()
	case 8:
		e.Route = r.Str()
	case 9:
		e.Identity = r.Str()
	case 10:
		e.Ref = r.Str()
	case 11:
		e.Code = known(r)
	case 12:
		e.Detail = r.Str()
	case 13:
		e.By = r.Str()
	case 14:
		e.Until = r.Time()
	}
}

// known returns a string of the house without making a new one: states,
// kinds and policies are the same few in a million rows.
func known(r *store.Reader) string {
	if s, ok := wordsOfTheHouse[string(r.Bytes())]; ok {
		return s
	}
	return r.Str()
}

var wordsOfTheHouse = func() map[string]string {
	all := []string{
		string(Transactional), string(Marketing), OnUnknownHold, OnUnknownResend, OnPartialWait, OnPartialRestart,
		string(PartWaiting), string(PartSent), string(PartDelivered), string(PartUndelivered), string(PartUnknown), string(PartRefused),
		string(KindAccepted), string(KindTaken), string(KindSent), string(KindReport), string(KindPart), string(KindDue),
		string(Email), text.AlphabetUTF8, DefaultPool, text.AlphabetGSM7, text.AlphabetUCS2, "NL", "BE", "DE", "SE", "EUR",
		"in_line", "planned", "sending", "sent_plain", "wait_report",
	}
	for _, s := range States {
		all = append(all, string(s))
	}
	set := make(map[string]string, len(all))
	for _, s := range all {
		set[s] = s
	}
	return set
}()
