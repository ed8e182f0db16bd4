package webui

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"tillpost/queue"
	"tillpost/queue/store"
)

// What may be wrong with a form about campaigns, bookings and rules outreach
// says in English, as the API does. Here it is said again in the reader's
// language.

// formRefusals are what may be wrong with such a form, by the code of the refusal.
var formRefusals = map[string]string{
	"name_invalid": "no_name", "text_missing": "no_text", "text_empty": "no_text", "template_unknown": "no_template", "template_draft": "no_draft",
	"audience_missing": "no_audience", "everybody": "no_audience", "value_missing": "no_value", "field_missing": "no_field", "wrong_type": "no_number_or_day",
	"value_superfluous": "no_value_needed", "in_the_past": "no_past", "too_far": "no_far", "event_over": "no_event_over", "event_unknown": "no_event",
	"time_skipped": "no_such_hour", "time_twice": "no_hour_twice", "time_invalid": "no_time", "no_consent": "no_consent", "proof_incomplete": "no_proof",
	"in_the_future": "no_future", "out_of_range": "no_range", "not_a_draft": "no_longer_draft", "not_now": "not_in_this_state", "under_way": "no_delete_yet",
	"recipients_missing": "no_list", "column_missing": "no_column", "number_invalid": "no_good_number", "number_landline": "no_landline", "number_premium": "no_good_number", "number_emergency": "no_good_number",
	"number_empty": "no_good_number", "start_missing": "no_start", "ends_before_start": "no_order", "not_moved": "no_move", "contact_unknown": "no_such_contact",
	"id_missing": "no_id", "not_pending": "no_reject", "already_confirmed": "no_pending", "date_invalid": "no_day", "channel_not_here": "no_mail_route",
	"placeholder_unknown": "no_such_field", "field_unknown": "no_known_field", "purpose_missing": "no_purpose",
}

// stranger finds the placeholders that nobody can fill in.
func stranger(said string) (what string, ok bool) {
	if what, ok = strings.CutPrefix(said, "no recipient has a value for "); ok {
		what, _, ok = strings.Cut(what, ". ")
	}
	var marks []string
	for one := range strings.SplitSeq(what, ", ") {
		mark, _, _ := strings.Cut(one, " at character ")
		marks = append(marks, mark)
	}
	return strings.Join(marks, ", "), ok
}

// wrongWith says in the reader's language what is wrong with a form; false: it
// is nothing that a person could mend.
func (p *page) wrongWith(err error) (said string, ok bool) {
	if bad, is := errors.AsType[*queue.Invalid](err); is {
		if key, known := formRefusals[bad.Code]; known {
			what, _ := stranger(bad.Detail)
			return p.T(key, "what", what), true
		}
	}
	if _, full := errors.AsType[*queue.Full](err); full {
		return p.T("wrong_full"), true
	}
	if errors.Is(err, store.ErrDiskLow) {
		return p.Words("disk_full"), true
	}
	_, said, ok = p.refusal(err)
	return said, ok
}

// Why says why somebody gets nothing, as the beginning of a line.
func (p *page) Why(said string) string { return capital(p.Reason(said)) }

// capital begins a line with what else stands within one.
func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

// first is the name by which somebody is called: to who may not know the
// customers its first letter.
func (p *page) first(name string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(name), " ")
	if p.may(numbers) || word == "" {
		return word
	}
	for _, r := range word {
		return string(r) + "."
	}
	return ""
}
