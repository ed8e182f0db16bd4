package smpp

import (
	"errors"
	"log/slog"
	"strconv"
	"testing"

	"tillpost/queue/route"
)

func book(t *testing.T, setting string) *idBook {
	t.Helper()
	b, err := newIDBook(setting, newRecorder(), "shop@smsc", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const someone = "+31612345678"

// The table says which ids are the same in "auto", with nothing learnt before.
func TestIDMatchTable(t *testing.T) {
	for _, row := range rows(t, "dlr_id_match.csv") {
		b := book(t, IDAuto)
		stored := b.submitted(row[0], someone)
		if row[2] == "never_guess" {
			b.submitted(row[1], someone) // the other reading is a message as well
		}
		got := b.ref(row[1], someone)
		if want := row[2] != "never_guess"; (got == stored) != want {
			t.Errorf("%s and %s (%s): stored as %q, the receipt is for %q", row[0], row[1], row[2], stored, got)
		}
		if row[2] == "never_guess" && b.learnt != "" {
			t.Errorf("%s and %s: learnt %s from them", row[0], row[1], b.learnt)
		}
	}
}

func TestSettingDecides(t *testing.T) {
	for _, c := range []struct{ setting, submitted, receipt, ref string }{
		{IDSame, "17", "17", "17"},
		{IDSame, "00ABC", "abc", "abc"},
		{IDHexDec, "17", "23", "17"},
		{IDHexDec, "FFFFFFFFFFFFFFFFFF", "4722366482869645213695", "ffffffffffffffffff"}, // beyond 64 bits
		{IDHexDec, "abc-def", "ABC-DEF", "abc-def"},                                      // no number: as it is
		{IDDecHex, "23", "17", "23"},
		{IDDecHex, "0000001234", "4D2", "1234"},
		{IDSame, "000", "0", "0"},
	} {
		b := book(t, c.setting)
		stored := b.submitted(c.submitted, someone)
		got := b.ref(c.receipt, someone)
		if stored != c.ref || got != c.ref {
			t.Errorf("%s: %s is stored as %q and its receipt %s is for %q, want %q", c.setting, c.submitted, stored, c.receipt, got, c.ref)
		}
	}
}

// An SMSC that counts in hexadecimal and reports in decimal, from number 1 on:
// no receipt may ever be taken for another message's.
func TestLearnsFromSmallNumbersWithoutMistake(t *testing.T) {
	b := book(t, IDAuto)
	refs := make(map[int]string)
	to := func(n int) string { return "+3161" + strconv.Itoa(1000000+n) }
	for n := 1; n <= 400; n++ {
		refs[n] = b.submitted(strconv.FormatInt(int64(n), 16), to(n))
	}
	right := 0
	for n := 1; n <= 400; n++ {
		got := b.ref(strconv.Itoa(n), to(n))
		if got == refs[n] {
			right++
		} else if n > 10 {
			t.Errorf("the receipt for %d (%s) was taken for %s", n, refs[n], got)
		}
	}
	if b.learnt != IDHexDec {
		t.Errorf("learnt %q; %d of 400 were right", b.learnt, right)
	}
}

func TestOneContraryProofDoesNotUnlearn(t *testing.T) {
	b := book(t, IDAuto)
	b.submitted("499602D2", someone)
	if b.ref("1234567890", someone); b.learnt != IDHexDec {
		t.Fatalf("learnt %q", b.learnt)
	}
	for n := range 3 {
		id := "ab" + strconv.Itoa(n)
		stored := b.submitted(id, someone)
		if got := b.ref(id, someone); got != stored {
			t.Errorf("%s: the proof was not used for its own receipt: %s", id, got)
		}
		if want := map[bool]string{false: IDHexDec, true: IDSame}[n == 2]; b.learnt != want {
			t.Errorf("after %d contrary proofs learnt is %q, want %q", n+1, b.learnt, want)
		}
	}
}

func TestForgetsTheOldest(t *testing.T) {
	b := book(t, IDAuto)
	for n := range keepSent + 10 {
		b.submitted("x"+strconv.Itoa(n), someone)
	}
	if len(b.sent) != keepSent || len(b.order) != keepSent {
		t.Errorf("%d ids are kept", len(b.sent))
	}
	if b.knows("x9") || !b.knows("x10") {
		t.Error("the wrong ones are kept")
	}
	total := 0
	for _, n := range b.lengths {
		total += n
	}
	if total != keepSent {
		t.Errorf("the lengths count %d", total)
	}
}

// A report that could not be told again is told at the next chance.
func TestDoubtOutlivesAFullDisk(t *testing.T) {
	b := book(t, IDAuto)
	early := route.Report{Key: "operator/1234567891/delivered/", Ref: b.ref("1234567891", someone)}
	b.doubtful(early)
	b.submitted("499602D2", someone)
	b.ref("1234567890", someone)
	full := errors.New("the disk is full")
	if err := b.settle(t.Context(), func(route.Report) error { return full }); !errors.Is(err, full) {
		t.Fatalf("settle returned %v", err)
	}
	var told []route.Report
	for range 2 {
		if err := b.settle(t.Context(), func(r route.Report) error { told = append(told, r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || told[0].Ref != "499602d3" || told[0].Key != "operator/499602d3/delivered/" {
		t.Errorf("told were %+v", told)
	}
}
