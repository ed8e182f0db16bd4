package hand

import (
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
)

// What a person reads of how a modem is looked after.
func TestCareRows(t *testing.T) {
	var out strings.Builder
	rows := NewTable(&out)
	careRows(rows, nil)
	careRows(rows, &route.Care{
		Storage:  &route.Storage{Memory: "SM", Used: 3, Total: 20},
		Balance:  &route.Balance{Amount: "12.34", Text: "Saldo 12,34", At: time.Now()},
		LoopTest: &route.LoopTest{At: time.Now(), Took: 3200 * time.Millisecond},
		Rungs: []route.Rung{
			{Name: "find it on the line", Tried: 4, Helped: 3}, {Name: "restart the modem"},
			{Name: "USB port power", Why: "the hub cannot switch its ports"},
		},
	})
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 of 20 places of SM", "12.34", "3.2s", "helped 3 of 4 times", "not needed so far", "not possible: the hub cannot switch its ports"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
