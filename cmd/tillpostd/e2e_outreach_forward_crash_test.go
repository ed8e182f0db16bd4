package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route/email/mailsim"
	"tillpost/smpp/smsc"
	"tillpost/webui/api/wire"
)

// Customers answer while the daemon is killed again and again: before a reply is
// carried on, after it, and while its mail is on the wire. In the end every
// message of the inbox has one mail for each address, and two mails of one
// message are told by their Message-ID.
func TestRepliesSurviveKillsWithoutDoubling(t *testing.T) {
	const kills, each = 6, 3 // no more than have mails of their own
	addresses := []string{"balie@garage.example", "chef@garage.example"}
	post, mailTable, intoBox := startPost(t)
	ears, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	network := smsc.New(smsc.Config{SystemID: "shop", Password: "pw"})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- network.Serve(ctx, ears) }()
	t.Cleanup(func() {
		cancel()
		<-served
	})
	b := newBox(t, build(t, ""), mailTable+fmt.Sprintf("forward_inbox = [%q, %q]\n", addresses[0], addresses[1])+smppTable(ears.Addr().String(), "operator", 5))
	intoBox(b)
	b.start("-log", "info")
	b.makeKey("send,read,admin")

	onTheWire := 0
	for kill := range kills {
		hold := kill%2 == 1
		if hold {
			moment := []mailsim.Point{mailsim.Dot, mailsim.Data}[kill/2%2] // the mail has arrived, or has not
			post.Script(mailsim.Fault{At: moment, Hold: true, Stays: true})
		}
		for i := range each {
			answer := smsc.Message{From: fmt.Sprintf("316123456%02d", kill*each+i), To: "SHOP", Text: fmt.Appendf(nil, "antwoord %d van %d", i, kill)}
			eventually(t, "the box takes a reply", func() (bool, string) {
				try, stop := context.WithTimeout(ctx, 2*time.Second)
				defer stop()
				status, err := network.Deliver(try, answer)
				return err == nil && status == 0, fmt.Sprint(status, err)
			})
		}
		if hold {
			eventually(t, "a mail is in the middle", func() (bool, string) { return post.Held() > 0, "none is" })
			onTheWire++
		}
		b.kill()
		post.Clear()
		post.Release()
		b.start("-log", "info")
		b.must("check")
	}

	var in wire.Page[wire.Inbound]
	if status, err := b.call("GET", "/api/v1/inbox?limit=1000", nil, &in); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	want := len(in.Items) * len(addresses)
	if len(in.Items) < kills*each {
		t.Fatalf("%d of %d replies are in the inbox", len(in.Items), kills*each)
	}
	mails := func() (list []wire.Message) {
		var page wire.Page[wire.Message]
		if status, err := b.call("GET", "/api/v1/messages?limit=1000", nil, &page); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		return page.Items
	}
	eventually(t, "all are carried on, and have left", func() (bool, string) {
		list, done := mails(), 0
		for _, m := range list {
			if m.State == "sent" || m.State == "unknown" {
				done++
			}
		}
		return done == want && len(list) == want, fmt.Sprintf("%d of %d mails, %d of them done", len(list), want, done)
	})
	unknown := map[string]bool{}
	for _, m := range mails() {
		if m.State == "unknown" {
			unknown[m.ID] = true
			if status, err := b.call("POST", "/api/v1/messages/"+m.ID+"/resend", nil, nil); err != nil || status != http.StatusOK {
				t.Errorf("resend %s: %d %v", m.ID, status, err)
			}
		}
	}
	eventually(t, "the resent ones have left", func() (bool, string) {
		for _, m := range mails() {
			if m.State != "sent" {
				return false, fmt.Sprint(m.ID, " is ", m.State)
			}
		}
		return true, ""
	})
	b.must("check")

	told, arrived := map[string]int{}, map[string]int{} // by what and to whom; by the message in its Message-ID
	for _, l := range letters(t, post) {
		id, _, _ := strings.Cut(strings.TrimPrefix(l.id, "<"), ".")
		if arrived[id]++; arrived[id] > 1 {
			continue // the same message twice
		}
		said, _, _ := strings.Cut(l.text, "\n")
		told[l.to+" "+said]++
	}
	came := map[string]int{}
	for _, m := range in.Items {
		came[m.Text]++
	}
	for text, n := range came {
		for _, to := range addresses {
			if told[to+" "+text] != n {
				t.Errorf("%q came %d times, and %s was told %d times", text, n, to, told[to+" "+text])
			}
		}
	}
	doubled := 0
	for id, n := range arrived {
		switch {
		case n == 2 && unknown[id]:
			doubled++
		case n != 1:
			t.Errorf("%s arrived %d times", id, n)
		}
	}
	if len(arrived) != want || doubled == 0 || doubled == len(unknown) {
		t.Errorf("%d different mails of %d; %d in doubt, of which %d had arrived: both are to be proved", len(arrived), want, len(unknown), doubled)
	}
	t.Logf("%d replies, %d mails, %d kills (%d with a mail on the wire): %d in doubt, of which %d had arrived and were sent again by a person", len(in.Items), want, kills, onTheWire, len(unknown), doubled)
}
