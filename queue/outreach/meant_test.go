package outreach

import (
	"errors"
	"strings"
	"testing"

	"tillpost/queue"
)

// A slip of the pen in a rule makes it mean everybody, or nobody: it is refused
// with the name that was meant.
func TestARuleKnowsWhatItAsksOf(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.template("news", "Dag {first_name}")
		day := Trigger{Event: OnDay, Day: "12-24"}
		slip := Rule{Name: "r", On: day, Template: "news", Class: queue.Transactional, Audience: Audience{All: []Condition{{Field: "categorei", Op: "is_not", Value: textValue("x")}}}}
		b.rule(slip) // nobody is in the register yet, so that nobody can say
		customers(b, 2)
		b.book(Booking{ID: "concert", Start: clock(b, "2026-12-04T20:00")})
		b.book(Booking{ID: "t1", Contact: "c00000", Event: "concert", Attrs: Attributes{"product": textValue("drinks")}})
		b.book(Booking{ID: "t2", Contact: "c00001", Event: "elsewhere", Start: clock(b, "2026-12-04T20:00")})

		some := func(c ...Condition) Audience { return Audience{All: c} }
		tickets := func(c ...Condition) Audience { return Audience{NoBooking: c} }
		for name, c := range map[string]struct {
			rule              Rule
			field, code, says string
		}{
			"a field":                {slip, "audience.all[0].field", "field_unknown", `Did you mean "category"?`},
			"a field one level down": {Rule{On: day, Audience: some(Condition{Any: []Condition{is("category", "gold"), is("pionts", "3")}})}, "audience.all[0].any[1].field", "field_unknown", `"points"`},
			"a field of tickets":     {Rule{On: day, Audience: tickets(is("event", "concert"), is("prodcut", "drinks"))}, "audience.no_booking[1].field", "field_unknown", `"product"`},
			"an event":               {Rule{On: day, Audience: tickets(is("event", "conzert"))}, "audience.no_booking[0].value", "event_unknown", `"concert"`},
			"an event of several":    {Rule{On: day, Audience: tickets(Condition{Field: "event", Op: "in", Value: Value{Type: TypeList, List: []string{"concert", "nosuch"}}})}, "audience.no_booking[0].value", "event_unknown", "send the event first"},
			"a date":                 {Rule{On: Trigger{Event: OnDate, Field: "expieres"}}, "on.field", "field_unknown", "new_fields"},
			"a first that is a slip": {Rule{On: Trigger{Event: OnFirst, Field: "categorie"}}, "on.field", "field_unknown", `"category"`},
			"bookings of a kind":     {Rule{On: Trigger{Event: "booking.confirmed"}, Match: []Condition{is("servce", "apk")}}, "match[0].field", "field_unknown", `"service"`},
		} {
			c.rule.Name, c.rule.Template, c.rule.Class = "r", "news", queue.Transactional
			_, err := b.o.PutRule(b.t.Context(), c.rule, "till")
			bad, ok := errors.AsType[*queue.Invalid](err)
			if !ok || bad.Field != c.field || bad.Code != c.code || !strings.Contains(bad.Detail, c.says) {
				b.t.Errorf("%s: %v", name, err)
			}
		}
		for _, r := range []Rule{
			{Name: "known", On: day, Audience: some(is("Category", "gold"), is("voornaam", "Anna"), is("flag.vip", "yes"), is(FlagReminder, "no"))},
			{Name: "tickets", On: day, Audience: tickets(is("event", "elsewhere"), is("product", "drinks"))},
			{Name: "to come", On: Trigger{Event: OnDate, Field: "Expires"}, NewFields: []string{"EXPIRES"}},
			{Name: "first", On: Trigger{Event: OnFirst, Field: "membership"}},
			{Name: "off", Off: true, On: day, Audience: slip.Audience},
		} {
			r.Name, r.Template, r.Class = strings.ReplaceAll(r.Name, " ", "-"), "news", queue.Transactional
			b.rule(r)
		}
	})
}
