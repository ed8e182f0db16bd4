// Package sim is a simulated GSM modem and the radio cell it is registered
// on: a peer for whoever drives modems, not a mock of one.
//
// A Modem speaks AT over any stream as V.250, 3GPP TS 27.005 and 27.007 say:
// echo, result formats, command lines with several commands, the prompt of
// AT+CMGS, storages, unsolicited lines. It keeps what a modem keeps (its own
// storage), loses at a restart what a modem loses (every setting), and asks
// the SIM Card for the rest (PIN counters, stored messages, the TP-MR counter).
// A Cell carries what the modems submit: it answers, joins the parts of long
// messages, sends status reports, delivers to other modems of the same cell,
// and keeps its own list, so that a test can count what the network saw.
//
// Two ways to make it misbehave: the magic recipients of magic.go, and a
// fault script (ParseFaults), which can go wrong at any step of a command.
//
// It promises to judge independently: it imports neither modem nor modem/at
// nor queue/text, has alphabets and PDU code of its own, and refuses what is
// wrong with the code a modem would give. A line it refuses is in the cell's
// log with the reason in words.
//
// It imports the standard library and, for pseudo-terminals, golang.org/x/sys.
package sim
