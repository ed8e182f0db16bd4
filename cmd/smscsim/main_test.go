package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/smpp/smsc"
)

// pdu writes one PDU by hand: what the program says is judged from outside.
func pdu(id, seq uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, 0)
	return append(binary.BigEndian.AppendUint32(b, seq), body...)
}

// ask sends a PDU and returns command_id and command_status of the next.
func ask(t *testing.T, conn net.Conn, p []byte) (id, status uint32) {
	t.Helper()
	if _, err := conn.Write(p); err != nil {
		t.Fatal(err)
	}
	var h [16]byte
	if _, err := io.ReadFull(conn, h[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(h[0:]))-16); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
}

func TestServesAndLogs(t *testing.T) {
	dir := t.TempDir()
	log, script := filepath.Join(dir, "log"), filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("after 1 submits: status 0x58\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0", "-magic", "-log", log, "-fault", script, "-system-id", "shop", "-password", "secret"}, in, io.Discard)
		in.CloseWithError(err)
		done <- err
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("nothing was said before the end: %v", <-done)
	}
	addr := lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:]
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if id, status := ask(t, conn, pdu(0x02, 1, "shop\x00secret\x00\x00\x34\x00\x00\x00")); id != 0x80000002 || status != 0 {
		t.Fatalf("the bind was answered with %08X, status %d", id, status)
	}
	submit := "\x00\x05\x00SHOP\x00\x01\x0131600000002\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02hi"
	for n, want := range []uint32{smsc.StatusBadRecipient, smsc.StatusThrottled} { // magic, then the script
		if id, status := ask(t, conn, pdu(0x04, uint32(2+n), submit)); id != 0x80000004 || status != want {
			t.Fatalf("submit %d was answered with %08X, status %#x, want %#x", n+1, id, status, want)
		}
	}
	cancel()
	for lines.Scan() {
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var got []smsc.Submit
	for line := range strings.Lines(string(b)) {
		var s smsc.Submit
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if len(got) != 2 || got[0].Text != "hi" || got[0].To != "31600000002" || got[0].Accepted || got[1].Status != smsc.StatusThrottled {
		t.Errorf("the log says %+v", got)
	}
}

func TestRefusesWrongUse(t *testing.T) {
	for args, want := range map[string]error{
		"-help":            flag.ErrHelp,
		"-no-such-flag":    errUse,
		"leftover":         errUse,
		"-ids roman":       nil,
		"-receipts shiny":  nil,
		"-fault /no/file":  os.ErrNotExist,
		"-listen 1.2.3.4.": nil,
	} {
		err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", args, err, want)
		}
	}
}
