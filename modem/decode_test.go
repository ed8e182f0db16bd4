package modem

import (
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/queue/route"
)

func TestReadDeliver(t *testing.T) {
	old := readDeliver(sample(t, "DELIVER", "widely published"))
	if old.Text != "hellohello" || !strings.HasSuffix(old.From, "27838890001") || old.Undecodable || !old.Sent.Equal(time.Date(1999, 3, 29, 15, 16, 59, 0, time.FixedZone("", 2*3600))) {
		t.Errorf("%+v", old)
	}
	stop := readDeliver(sample(t, "DELIVER", "STOP"))
	if stop.Text != "STOP" || stop.From != "+31612345678" || stop.Undecodable || stop.Concat != nil {
		t.Errorf("%+v", stop)
	}
	if in := readDeliver(sample(t, "DELIVER", "alphanumeric")); in.From != "Bakkerij" || in.Undecodable {
		t.Errorf("%+v", in)
	}
}

// A part may end inside a character: the queue reads it with the next.
func TestPartsKeepTheirUnits(t *testing.T) {
	const head = "00440B911316325476F8"
	for raw, want := range map[string]route.Units{
		head + "0008" + "62112221510040" + "0A" + "050003A70201" + "0041D83D": {Alphabet: route.UCS2, Octets: "0041d83d"},
		// Six octets of header and a fill bit take seven septets; then a, ESC.
		head + "0000" + "62112221510040" + "09" + "050003A70201" + "C21B": {Alphabet: route.GSM7, Octets: "611b"},
	} {
		if in := readDeliver(raw); in.Units == nil || *in.Units != want || in.Concat == nil {
			t.Errorf("%s: units %+v of %+v, want %+v", raw, in.Units, in, want)
		}
	}
	if in := readDeliver(sample(t, "DELIVER", "STOP")); in.Units != nil {
		t.Errorf("a whole message keeps the units %+v", in.Units)
	}
}

func TestReadReport(t *testing.T) {
	r, err := readReport(sample(t, "STATUS-REPORT", "ST 00"))
	want := route.Report{Ref: "42", To: "+31612345678", State: route.ReportDelivered, Code: "TP-ST 00"}
	if err != nil || r.Ref != want.Ref || r.To != want.To || r.State != want.State || r.Code != want.Code || r.Why == "" || r.Reason != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if !r.Sent.Equal(time.Date(2026, 11, 22, 9, 15, 0, 0, time.UTC)) || !r.Done.Equal(time.Date(2026, 11, 22, 9, 16, 7, 0, time.UTC)) {
		t.Errorf("sent %v, done %v", r.Sent, r.Done)
	}
	if r, err := readReport(sample(t, "STATUS-REPORT", "MR 255")); err != nil || r.Ref != "255" || r.State != route.ReportUndelivered || r.Code != "TP-ST 46" || r.Reason != "not_reached" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := readReport(sample(t, "STATUS-REPORT", "MR 0")); err != nil || r.Ref != "0" || r.To != "0612345678" || r.State != route.ReportPending {
		t.Errorf("%+v, %v", r, err)
	}
}

// library-facts §9.7, trap §2.9: PDUs that the library refuses. None is lost,
// all keep their raw form.
func TestOddDeliversAreRead(t *testing.T) {
	const stop = "00040B911316325476F8000062112221510040" + "0453EA130A"
	for _, tc := range []struct {
		name, raw   string
		text, from  string
		undecodable bool
		noTime      bool
	}{
		{name: "time_of_FF", raw: "00040B911316325476F80000FFFFFFFFFFFFFF0453EA130A", text: "STOP", from: "+31612345678", noTime: true},
		{name: "month_A", raw: "00040B911316325476F8000062A12221510040" + "0453EA130A", text: "STOP", from: "+31612345678", noTime: true},
		{name: "surplus_octet", raw: stop + "00", text: "STOP", from: "+31612345678"},
		{name: "one_octet_short", raw: "00040B911316325476F800006211222151004005C8329BFD", text: "Hell", from: "+31612345678"},
		{name: "reserved_dcs_80", raw: "00040B911316325476F8008062112221510040" + "0453EA130A", text: "STOP", from: "+31612345678"},
		{name: "reserved_dcs_BF", raw: "00040B911316325476F800BF62112221510040" + "0453EA130A", text: "STOP", from: "+31612345678"},
		{name: "fill_missing_in_the_sender", raw: "00040B91131632547608000062112221510040" + "0453EA130A", text: "STOP", from: "+31612345678"},
		{name: "fill_too_early_in_the_sender", raw: "00040B9113163254FFFF000062112221510040" + "0453EA130A", text: "STOP"},
		{name: "ucs2_of_odd_length", raw: "00040B911316325476F800086211222151004003041F04", text: "П", from: "+31612345678"},
		{name: "ucs2_that_ends_in_half_a_pair", raw: "00040B911316325476F8000862112221510040040041D83D", text: "A\uFFFD", from: "+31612345678"},
		{name: "broken_udh", raw: "00440B911316325476F8000062112221510040" + "08" + "FF0003010201AB", from: "+31612345678"},
		{name: "empty_text", raw: "00040B911316325476F80000621122215100" + "40" + "00", text: "", from: "+31612345678"},
		{name: "binary", raw: "00040B911316325476F8000462112221510040" + "0301FF7F", from: "+31612345678", undecodable: true},
		{name: "eight_bit_text", raw: "00040B911316325476F8000462112221510040" + "024869", text: "Hi", from: "+31612345678"},
		{name: "cut_in_the_sender", raw: "00040B9113", undecodable: true},
		{name: "cut_in_the_time", raw: "00040B911316325476F8000062", undecodable: true, from: "+31612345678"},
		{name: "nothing_but_sca", raw: "0791132604", undecodable: true},
		{name: "no_hex", raw: "00G4", undecodable: true},
		{name: "sender_with_an_extension_character", raw: "000406D01BDE07" + "000062112221510040" + "0453EA130A", text: "STOP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := readDeliver(tc.raw)
			if in.Raw != tc.raw {
				t.Errorf("raw is %q", in.Raw)
			}
			if in.Undecodable != tc.undecodable {
				t.Fatalf("undecodable %v: %q", in.Undecodable, in.Text)
			}
			if in.Undecodable && in.Text == "" {
				t.Error("no reason is given")
			}
			if !tc.undecodable && tc.text != "" && in.Text != tc.text {
				t.Errorf("text %q, want %q", in.Text, tc.text)
			}
			if tc.from != "" && in.From != tc.from {
				t.Errorf("from %q, want %q", in.From, tc.from)
			}
			if in.Sent.IsZero() != (tc.noTime || tc.undecodable && tc.from == "" || strings.HasPrefix(tc.name, "cut")) && tc.name != "binary" {
				t.Errorf("sent %v", in.Sent)
			}
		})
	}
}

func TestOddReportsAreRead(t *testing.T) {
	good := sample(t, "STATUS-REPORT", "ST 00")
	for name, raw := range map[string]string{
		"discharge_time_of_FF":  strings.Replace(good, "62112201617040", "FFFFFFFFFFFFFF", 1),
		"optional_part_cut":     good + "07",
		"surplus":               good + "0000",
		"with_user_data":        good + "070000" + "0441",
		"recipient_of_no_digit": strings.Replace(good, "1316325476F8", "1316EE5476F8", 1),
	} {
		r, err := readReport(raw)
		if err != nil || r.Ref != "42" || r.State != route.ReportDelivered || r.Raw != raw {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for name, raw := range map[string]string{
		"cut_before_ST": good[:len(good)-2],
		"a_deliver":     sample(t, "DELIVER", "STOP"),
		"empty":         "",
		"sca_only":      "00",
	} {
		if r, err := readReport(raw); err == nil {
			t.Errorf("%s was read as %+v", name, r)
		}
	}
}

func TestConcatIsReadFromTheHeader(t *testing.T) {
	at := func(udh string) string {
		return "00440B911316325476F8000462112221510040" + hex2(len(udh)/2+2) + udh + "4869"
	}
	for udh, want := range map[string]*route.Concat{
		"0500032A0201":             {Ref: 0x2A, Bits: 8, Of: 2, N: 1},
		"06080412340302":           {Ref: 0x1234, Bits: 16, Of: 3, N: 2},
		"0500032A0203":             nil,                               // part 3 of 2
		"0500032A0001":             nil,                               // of none
		"0500032A0200":             nil,                               // part 0
		"0B05040B8423F000032A0202": {Ref: 0x2A, Bits: 8, Of: 2, N: 2}, // behind a port number
	} {
		in := readDeliver(at(udh))
		if in.Undecodable || in.Text != "Hi" {
			t.Errorf("%s: %+v", udh, in)
		}
		if (in.Concat == nil) != (want == nil) || want != nil && *in.Concat != *want {
			t.Errorf("%s: %+v, want %+v", udh, in.Concat, want)
		}
	}
}

func TestNationalTablesAreRead(t *testing.T) {
	out := route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Shift: 1, Segments: one("şeker ığ")}
	s, err := encode(&out, 1, form{})
	if err != nil {
		t.Fatal(err)
	}
	// The user data of a SUBMIT is that of a DELIVER.
	ud := s.hex[len("004100"+"0B911316325476F8"+"0000"):]
	in := readDeliver("0044" + "0B911316325476F8" + "0000" + "62112221510040" + ud)
	if in.Text != "şeker ığ" {
		t.Errorf("%q from %s", in.Text, ud)
	}
}

func TestKeyIsOfSIMAndPDU(t *testing.T) {
	a := sample(t, "DELIVER", "STOP")
	if key("89310", a) != key("89310", strings.ToLower(a)) {
		t.Error("the case of the hex makes a difference")
	}
	if key("89310", a) == key("89311", a) || key("89310", a) == key("89310", a+"00") {
		t.Error("two events have one key")
	}
	if strings.Contains(key("89310", a), "1316325476") {
		t.Error("the key holds a number")
	}
}

// Two modems decode at once (with -race: the library's lazy alphabet).
func TestDecodingAtOnce(t *testing.T) {
	raw := sample(t, "DELIVER", "alphanumeric")
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if in := readDeliver(raw); in.From != "Bakkerij" {
				t.Errorf("%+v", in)
			}
		})
	}
	wait.Wait()
}

// FuzzDecode: whatever a modem shows us is read, or kept as it came.
func FuzzDecode(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s[1])
	}
	f.Add("0044")
	f.Fuzz(func(t *testing.T, raw string) {
		in := readDeliver(raw)
		if in.Raw != raw {
			t.Fatalf("raw %q", in.Raw)
		}
		if in.Undecodable && in.Text == "" {
			t.Fatal("undecodable without a reason")
		}
		if c := in.Concat; c != nil && (c.N < 1 || c.N > c.Of || c.Bits != 8 && c.Bits != 16) {
			t.Fatalf("%+v", c)
		}
		if r, err := readReport(raw); err == nil && (r.State == "" || r.Ref == "" || r.Raw != raw) {
			t.Fatalf("%+v", r)
		}
	})
}
