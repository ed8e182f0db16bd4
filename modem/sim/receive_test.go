package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const own = "+3197010001001" // the number of the modem on the bench

func deliver(t *testing.T, c *Cell, text string) {
	t.Helper()
	if err := c.Deliver(own, "+31612345678", text); err != nil {
		t.Fatal(err)
	}
}

// states lists what became of each attempt to bring something.
func states(c *Cell) string {
	var s []string
	for _, e := range c.Entries() {
		if e.State != "" {
			s = append(s, e.Kind+" "+e.State)
		}
	}
	return strings.Join(s, ", ")
}

func TestCNMI_routes_messages(t *testing.T) {
	for _, c := range []struct{ cnmi, urc string }{
		{"2,0,0,0,0", "SILENCE"},
		{"2,1,0,0,0", `+CMTI: "SM",1|SILENCE`},
		{"1,1,0,0,0", `+CMTI: "SM",1|SILENCE`},
		{"2,2,0,0,0", "+CMT: ,22|07911326040000F0040B911316325476F8000000101000000000034F9C28|SILENCE"},
		{"0,1,0,0,0", "SILENCE"},
	} {
		t.Run(c.cnmi, func(t *testing.T) {
			bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
				d.at("ATE0;+CNMI=" + c.cnmi)
				deliver(t, d.cell, "Oké")
				got := d.said()
				if c.cnmi[2] == '2' { // the text itself is a matter of pdu_test.go
					got, c.urc = got[:40], c.urc[:40]
				}
				if got != c.urc {
					t.Errorf("got %s", got)
				}
				if s := states(d.cell); s != "deliver acknowledged" {
					t.Errorf("the cell says %s", s)
				}
			})
		})
	}
}

func TestCNMI_mode_0_holds_back(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CNMI=0,1,0,0,0")
		deliver(t, d.cell, "one")
		if got := d.said(); got != "SILENCE" {
			t.Errorf("got %s", got)
		}
		d.expect("AT+CNMI=2,1,0,0,0", `+CMTI: "SM",1|OK`)
		d.expect("AT+CNMI=0,1,0,0,0", "OK")
		deliver(t, d.cell, "two")
		d.said()
		d.expect("AT+CNMI=2,1,0,0,1", "OK") // bfr 1 drops what waited
	})
}

func TestReports_follow_CNMI(t *testing.T) {
	for _, c := range []struct {
		cnmi  string
		cfg   Config
		urc   string
		inSR  int
		inSIM int
	}{
		{"2,1,0,0,0", Config{}, "SILENCE", 0, 0},
		{"2,1,0,1,0", Config{}, "+CDS: 25|SILENCE", 0, 0},
		{"2,1,0,2,0", Config{}, `+CDSI: "SM",1|SILENCE`, 0, 1},
		{"2,1,0,2,0", Config{ReportsInSR: true}, `+CDSI: "SR",1|SILENCE`, 1, 0},
		{"2,1,0,2,0", Config{FirstAt0: true}, `+CDSI: "SM",0|SILENCE`, 0, 1},
	} {
		bench(t, CellConfig{}, c.cfg, func(t *testing.T, d *terminal) {
			d.ready()
			d.at("AT+CNMI=" + c.cnmi)
			d.send(hello("5678"))
			got := d.said()
			if i := strings.Index(got, "|0791"); i >= 0 {
				got = got[:i] + "|SILENCE"
			}
			if got != c.urc || d.modem.Stored("SR") != c.inSR || d.modem.Stored("SM") != c.inSIM {
				t.Errorf("%s: got %s, %d in SR, %d on the SIM", c.cnmi, got, d.modem.Stored("SR"), d.modem.Stored("SM"))
			}
		})
	}
}

func TestReports_only_what_CNMI_lists(t *testing.T) {
	bench(t, CellConfig{}, Config{Reports: []int{0, 2}}, func(t *testing.T, d *terminal) { // Cinterion
		d.at("ATE0")
		d.expect("AT+CNMI=?", "+CNMI: (0-2),(0-3),(0,2),(0,2),(0,1)|OK")
		d.expect("AT+CNMI=2,1,0,1,0", "+CMS ERROR: 302")
		d.expect("AT+CNMI=2,1,0,2,0", "OK")
	})
}

func TestReports_come_within_two_seconds_and_overtake(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		for range 20 {
			d.send(hello("5678"))
		}
		reports := func(c *Cell) (mrs []int) {
			for _, e := range c.Entries() {
				if e.Kind == "report" {
					mrs = append(mrs, e.MR)
				}
			}
			return mrs
		}
		start := time.Now()
		if err := d.cell.Wait(t.Context(), func(c *Cell) bool { return len(reports(c)) == 20 }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the last report came after %v", took)
		}
		inOrder := true
		for i, mr := range reports(d.cell) {
			inOrder = inOrder && i == mr
		}
		if inOrder {
			t.Error("the reports came in the order of the messages; real ones do not")
		}
	})
}

func TestReports_in_the_styles_of_networks(t *testing.T) {
	for _, c := range []struct {
		name string
		cell CellConfig
		want []string // how the PDUs begin, and their statuses
	}{
		{"plain", CellConfig{}, []string{"07911326040000F006000B911316325476F8 00"}},
		{"national", CellConfig{Reports: ReportStyle{National: true}}, []string{"07911326040000F006000AA16021436587 00"}},
		{"twice", CellConfig{Reports: ReportStyle{Twice: true}}, []string{"07911326040000F006000B911316325476F8 00", "07911326040000F006000B911316325476F8 00"}},
		{"pending", CellConfig{Reports: ReportStyle{Pending: true}}, []string{"07911326040000F006000B911316325476F8 30", "07911326040000F006000B911316325476F8 00"}},
		{"bare", CellConfig{Bare: true}, []string{"0006000B911316325476F8 00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bench(t, c.cell, Config{}, func(t *testing.T, d *terminal) {
				d.ready()
				d.send(hello("5678"))
				for _, want := range c.want {
					start, end, _ := strings.Cut(want, " ")
					d.said("+CDS*")
					if got := d.said("0*"); !strings.HasPrefix(got, start) || !strings.HasSuffix(got, end) {
						t.Errorf("got %s, want %s", got, want)
					}
				}
				if got := d.said(); got != "SILENCE" {
					t.Errorf("then %s", got)
				}
			})
		})
	}
}

func TestMR_is_one_octet_of_the_SIM(t *testing.T) {
	bench(t, CellConfig{}, Config{FirstMR: 254}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CNMI=2,1,0,0,0")
		for _, want := range []string{"254", "255", "0"} {
			if got := d.send(hello("5678")); got != "+CMGS: "+want+"|OK" {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

func TestCNMA_acknowledges_to_the_network(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CSMS=1;+CNMI=2,2,0,1,0")
		deliver(t, d.cell, "one")
		deliver(t, d.cell, "two")
		d.said("0791*")
		synctest.Wait()
		if s := states(d.cell); s != "" {
			t.Errorf("before AT+CNMA the cell says %s", s)
		}
		d.expect("AT+CNMA", "OK")
		d.said("0791*") // the second comes only then
		d.expect("AT+CNMA=0", "OK")
		if s := states(d.cell); s != "deliver acknowledged, deliver acknowledged" {
			t.Errorf("the cell says %s", s)
		}
		d.expect("AT+CNMA", "+CMS ERROR: 340")
	})
}

func TestCNMA_missing_ends_direct_delivery_and_the_network_repeats(t *testing.T) {
	bench(t, CellConfig{AckTime: 15 * time.Second, RepeatAfter: time.Minute}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CSMS=1;+CNMI=2,2,0,1,0")
		start := time.Now()
		deliver(t, d.cell, "STOP")
		first := d.said("0791*")
		deliver(t, d.cell, "and more") // waits behind it
		if err := d.cell.Wait(t.Context(), func(c *Cell) bool { return len(c.Entries()) == 1 }); err != nil {
			t.Fatal(err)
		}
		if s := states(d.cell); s != "deliver unacknowledged" || time.Since(start) != 15*time.Second {
			t.Errorf("after %v the cell says %s", time.Since(start), s)
		}
		d.expect("AT+CNMI?", "+CNMI: 2,0,0,0,0|OK") // 27.005 §3.4.1
		d.expect("AT+CNMI=2,2,0,1,0", "OK")
		if again := d.said("0791*"); again != first || time.Since(start) != 75*time.Second {
			t.Errorf("after %v came\n%s, want\n%s", time.Since(start), again, first)
		}
		d.expect("AT+CNMA", "OK")
		d.said("0791*")
		d.expect("AT+CNMA", "OK")
		if s := states(d.cell); s != "deliver unacknowledged, deliver acknowledged, deliver acknowledged" {
			t.Errorf("the cell says %s", s)
		}
	})
}

func TestCNMA_2_refuses(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CSMS=1;+CNMI=2,2,0,1,0")
		deliver(t, d.cell, "one")
		d.said("0791*")
		d.expect("AT+CNMA=2", "OK")
		if s := states(d.cell); s != "deliver refused" {
			t.Errorf("the cell says %s", s)
		}
	})
}

func TestHeader_may_be_parted_from_its_PDU(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "header: urc RING", "after 1 header: urc")
		d.send(hello("5678"))
		if got := d.said("0791*"); !strings.HasPrefix(got, "+CDS: 25|RING|0791") {
			t.Errorf("got %s", got)
		}
		d.send(hello("5678"))
		if got := d.said("0791*"); !strings.HasPrefix(got, "+CDS: 25|0791") { // a blank line between
			t.Errorf("got %s", got)
		}
	})
}

func TestHeader_may_be_lost(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "header: drop 999", "after 1 header: garbage 3")
		deliver(t, d.cell, "nobody hears of this one")
		if got := d.said(); got != "SILENCE" {
			t.Errorf("got %s", got)
		}
		deliver(t, d.cell, "this one is heard badly")
		if got := d.said(); !strings.HasSuffix(got, `|+CMTI: "SM",2|SILENCE`) {
			t.Errorf("got %q", got)
		}
		if n := d.modem.Stored("SM"); n != 2 {
			t.Errorf("%d stored, want 2", n)
		}
	})
}

func TestStorage_lists_reads_deletes(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		for _, s := range []string{"one", "two", "three"} {
			deliver(t, d.cell, s)
			d.said("+CMTI*")
		}
		if got := d.at("AT+CMGR=2"); !strings.HasPrefix(got, "+CMGR: 0,,22|0791") {
			t.Errorf("got %s", got)
		}
		if got := d.at("AT+CMGL=0"); strings.Count(got, "+CMGL") != 2 || !strings.Contains(got, "+CMGL: 3,0,,24|") {
			t.Errorf("unread: %s", got)
		}
		if got := d.at("AT+CMGL=1"); strings.Count(got, "+CMGL") != 3 { // listing has marked them
			t.Errorf("read: %s", got)
		}
		d.expect("AT+CMGD=2", "OK")
		d.expect("AT+CPMS?", `+CPMS: "SM",2,20,"SM",2,20,"SM",2,20|OK`)
		deliver(t, d.cell, "four")
		if got := d.said("+CMTI*"); got != `+CMTI: "SM",2` { // the place is used again
			t.Errorf("got %s", got)
		}
		d.expect("AT+CMGD=1,1", "OK") // all read
		d.expect("AT+CPMS?", `+CPMS: "SM",1,20,"SM",1,20,"SM",1,20|OK`)
		d.expect("AT+CMGD=1,4", "OK")
		d.expect("AT+CMGL=4", "OK")
	})
}

func TestNetwork_keeps_what_cannot_be_brought(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "registration 0")
		deliver(t, d.cell, "later")
		if got := d.said(); got != "SILENCE" {
			t.Errorf("got %s", got)
		}
		play(t, d.modem, "registration 1")
		if got := d.said("+CMTI*"); got != `+CMTI: "SM",1` {
			t.Errorf("got %s", got)
		}
	})
}

func TestCell_knows_its_numbers(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		if err := d.cell.Deliver("+31600000000", "+31612345678", "x"); err == nil {
			t.Error("delivers to a number that is not here")
		}
		if err := d.cell.Deliver(own, "日本", "x"); err == nil {
			t.Error("delivers from a sender that no address can hold")
		}
	})
}

func TestTwo_modems_text_each_other(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, a *terminal) {
		b := plug(t, a.cell, New(a.cell, Identity(1)))
		a.ready()
		b.ready()
		b.at("AT+CNMI=2,2,0,0,0")
		// To +3197010001002, with report.
		if got := a.send("0031000D91137910001000F20000A70AE8329BFD4697D9EC37"); got != "+CMGS: 0|OK" {
			t.Fatalf("got %s", got)
		}
		if got := b.said("0791*"); !strings.HasPrefix(got, "+CMT: ,29|07911326040000F0040D91137910001000F1") || !strings.HasSuffix(got, "0AE8329BFD4697D9EC37") {
			t.Errorf("b got %s", got)
		}
		if got := a.said("0791*"); !strings.HasPrefix(got, "+CDS: ") || !strings.HasSuffix(got, "00") {
			t.Errorf("a got %s", got)
		}
		b.unplug()
	})
}

func TestSIM_moves_with_everything_on_it(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, a *terminal) {
		b := plug(t, a.cell, New(a.cell, Config{NoSIM: true, IMEI: "352099000000022"}))
		a.ready()
		b.ready()
		deliver(t, a.cell, "kept")
		a.said("+CMTI*")
		a.send(hello("5678"))
		b.modem.Insert(a.modem.Insert(nil))
		b.said("+CPIN*")
		b.expect("AT+CCID", "+CCID: 8931440000000000014|OK")
		b.expect("AT+CPMS?", `+CPMS: "SM",1,20,"SM",1,20,"SM",1,20|OK`)
		if got := b.send(hello("5678")); got != "+CMGS: 1|OK" {
			t.Errorf("got %s", got)
		}
		if s := a.cell.Submits(); s[0].IMEI == s[1].IMEI || s[0].ICCID != s[1].ICCID {
			t.Errorf("the cell has %+v", s)
		}
		b.unplug()
	})
}
