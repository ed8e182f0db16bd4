package usb

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// What is known of USB ids: a table that a person without Go can check and
// correct. Its columns are explained where they are read, below.
//
//go:embed usb_modems.csv
var modemsCSV []byte

// how the port for AT commands of an id is found.
type how int

const (
	byNumber   how = iota + 1 // by bInterfaceNumber
	byProtocol                // by bInterfaceProtocol, of interfaces with class ff
	byAsking                  // not established: the ports are asked
	nowhere                   // it has none
	notYet                    // no modem in this form: before the switch, or without its firmware
)

// row is one id of the table.
type row struct {
	name   string
	how    how
	listed []int // interface numbers for AT, best first
	others []int // further ones that take AT
	before bool  // the id of a stick that is not switched yet …
	after  bool  // … and of one that is; some ids are both
	bridge bool  // a serial bridge says nothing about what hangs behind it
	ignore bool  // looks like a modem and is none
	note   string
}

// table is usb_modems.csv by "vid:pid".
var table = sync.OnceValue(func() map[string]row {
	all, err := csv.NewReader(bytes.NewReader(modemsCSV)).ReadAll()
	if err != nil {
		panic("usb_modems.csv: " + err.Error()) // compiled in, and read by every test
	}
	rows := make(map[string]row, len(all))
	for _, cells := range all[1:] {
		// vid, pid, name, at_port_interface, modeswitch_needed, source,
		// other_at_interfaces, switched_to, notes
		r := row{
			name:   cells[2],
			others: numbers(cells[6]),
			before: cells[4] != "no",
			after:  cells[4] != "yes",
			bridge: strings.HasPrefix(cells[8], "not proof of a modem"),
			ignore: cells[8] == "ignore",
			note:   cells[8],
		}
		switch at := cells[3]; {
		case at == "":
			r.how = notYet
		case at == "none":
			r.how = nowhere
		case at == "probe":
			r.how = byAsking
		case strings.HasPrefix(at, "proto:"):
			r.how = byProtocol
		default:
			r.how, r.listed = byNumber, numbers(at)
		}
		rows[cells[0]+":"+cells[1]] = r
	}
	return rows
})

// numbers reads "2|1".
func numbers(cell string) []int {
	if cell == "" {
		return nil
	}
	var list []int
	for _, s := range strings.Split(cell, "|") {
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(fmt.Sprintf("usb_modems.csv: %q is no list of interfaces", cell))
		}
		list = append(list, n)
	}
	return list
}

// Protocols of Huawei's interfaces (class ff, any subclass), the numbers that
// AT^SETPORT uses too; 3G and 4G each have their own. What is not here (NCM,
// disks) has no serial port.
var huaweiProtocols = map[byte]Use{
	0x02: Commands, 0x12: Commands, // PCUI
	0x01: Perhaps, 0x10: Perhaps, // the data port: takes AT until a call blocks it
	0x03: Silent, 0x13: Silent, // diagnostics
	0x05: Silent, 0x14: Silent, // GPS
}

// makers of sticks, whose ids that are not in the table are read by what they
// show. Makers of other things beside (Dell, D-Link, MediaTek …) are not here:
// an id of theirs that nobody wrote down may be a keyboard.
var makers = map[string]string{
	"12d1": "Huawei", "19d2": "ZTE", "2c7c": "Quectel", "1e0e": "SIMCom",
	"1bc7": "Telit", "1199": "Sierra Wireless", "1e2d": "Cinterion", "2cb7": "Fibocom",
}

// switchers are makers whose unknown ids with nothing but a disk are sticks
// before their switch, as usb_modeswitch takes them.
var switchers = map[string]bool{"12d1": true, "19d2": true}

// modemDrivers of the kernel take nothing but modems.
var modemDrivers = map[string]bool{"option": true, "sierra": true, "qcserial": true, "hso": true}
