package usb

import (
	"fmt"
	"testing"

	"tillpost/modem/usb/usbtest"
)

// What a look costs on a box with two modems, a hub and what else hangs on a
// till. It is taken every 30 s beside the kernel's events, every 2 s without.
func BenchmarkSweep(b *testing.B) {
	tree := usbtest.New(b)
	tree.Hub("usb1", "2.00")
	tree.Hub("1-1", "2.00")
	tree.Plug("1-1.1", stick(0))
	tree.Plug("1-1.2", stick(4))
	for n := range 4 {
		tree.Plug(fmt.Sprint("1-1.", n+3), usbtest.Device{ID: "04b8:0202", Interfaces: []usbtest.Interface{{Class: "07/01/02", Driver: "usblp"}}})
	}
	for b.Loop() {
		if sticks, err := Sweep(tree.Sys, tree.Dev); err != nil || len(sticks) != 2 {
			b.Fatal(sticks, err)
		}
	}
}
