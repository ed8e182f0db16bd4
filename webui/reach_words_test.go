package webui

import (
	"strings"
	"testing"

	"tillpost/queue/outreach"
)

// composedOfReach are the keys of words.csv that pages about campaigns,
// bookings and rules make from a code of the program.
func composedOfReach() (keys []string) {
	add := func(prefix string, codes ...string) {
		for _, code := range codes {
			keys = append(keys, prefix+strings.ReplaceAll(code, ".", "_"))
		}
	}
	add("op_", outreach.Operators()...)
	add("sp_unit_", "minutes", "hours", "days")
	add("sp_", "before", "after")
	add("au_lead_", "with", "without")
	for state := range campaignSigns {
		add("cs_", string(state))
	}
	for _, kind := range campaignKinds {
		add("ck_", string(kind))
		add("ca_none_", string(kind))
		add("ca_none_text_", string(kind))
	}
	add("ca_sure_", "start", "stop", "delete")
	add("ca_do_", "stop", "delete")
	add("bo_sure_", "cancel", "delete")
	add("bo_do_", "cancel", "delete")
	add("bn_", notices...)
	add("be_", "pending", "confirmed", "rejected", "cancelled", "moved")
	add("rt_", triggers...)
	add("rx_", triggers...)
	add("month_", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
	for _, f := range fates {
		keys = append(keys, f.key)
	}
	for _, key := range formRefusals {
		keys = append(keys, key)
	}
	return keys
}

func TestWordsOfReach(t *testing.T) {
	for _, key := range composedOfReach() {
		if _, ok := words()[key]; !ok {
			t.Errorf("%q is said and is not in words.csv", key)
		}
	}
}
