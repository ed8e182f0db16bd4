package usb

import (
	"path/filepath"
	"slices"
	"strings"
)

// judge says what a device is, and whether it concerns us at all.
func judge(d device, dev string) (Stick, bool) {
	r, known := table()[d.vendor+":"+d.product]
	maker, ours := makers[d.vendor]
	if r.ignore {
		return Stick{}, false
	}
	s := Stick{
		Path: d.path, Bus: d.bus, Dev: d.dev, Vendor: d.vendor, Product: d.product,
		Name: nameOf(d, r.name, maker), Note: r.note,
		Online: slices.ContainsFunc(d.interfaces, func(i iface) bool { return i.up }),
	}
	have := look(d)
	switch {
	case have.ttys:
		modem := slices.ContainsFunc(d.interfaces, func(i iface) bool { return i.tty != "" && modemDrivers[i.driver] })
		if !known && !ours && !modem {
			return Stick{}, false // a scanner, a printer, a till's display
		}
		s.Mode = Modem
		if r.bridge {
			s.Mode = Adapter
		}
		s.Ports = choose(d, r, dev)
		if len(s.Candidates()) == 0 {
			s.Mode = Closed
		}
	case known && r.before && (!r.after || have.disk):
		s.Mode = Disk
	case known && r.how == nowhere, (known || ours) && have.network && !have.data && !have.serial:
		s.Mode = Router
	case known && r.how == notYet, (known || ours) && have.serial && !r.bridge:
		s.Mode = NoDriver
	case (known || ours) && have.data:
		s.Mode = Closed
	case switchers[d.vendor] && have.disk:
		s.Mode = Disk
	default:
		return Stick{}, false
	}
	return s, true
}

// nameOf prefers the table, then what the stick says of itself.
func nameOf(d device, inTable, maker string) string {
	if inTable != "" {
		name, _, _ := strings.Cut(inTable, " (") // the rest is for who reads the table
		return name
	}
	said := strings.TrimSpace(d.maker + " " + d.model)
	if said == "" {
		said = strings.TrimSpace(maker + " modem")
	}
	return said
}

// contents is what the interfaces of a device amount to.
type contents struct {
	ttys    bool // serial ports that can be opened
	serial  bool // interfaces that ought to be serial ports and have no driver
	disk    bool
	network bool // a plain network card: ECM, NCM, RNDIS
	data    bool // a network card that is told what to do by MBIM or QMI
}

// look sorts interfaces by class (USB class codes; CDC 1.2 §4.3: 02/06 is
// Ethernet, 02/0d NCM, 02/0e MBIM, 02/02 a modem; RNDIS is e0/01/03 or ef/04/01).
func look(d device) (c contents) {
	for _, i := range d.interfaces {
		switch {
		case i.tty != "":
			c.ttys = true
		case i.class == 0x08:
			c.disk = true
		case i.class == 0x02 && i.sub == 0x0e, i.driver == "qmi_wwan", i.driver == "cdc_mbim":
			c.data = true
		case i.class == 0x02 && (i.sub == 0x06 || i.sub == 0x0d), i.class == 0xe0 && i.sub == 0x01, i.class == 0xef && i.sub == 0x04,
			i.driver == "cdc_ether", i.driver == "cdc_ncm", i.driver == "huawei_cdc_ncm", i.driver == "rndis_host":
			c.network = true
		case i.driver == "" && (i.class == 0xff || i.class == 0x02 && i.sub == 0x02):
			c.serial = true
		}
	}
	return c
}

// choose gives every serial port of a modem its use and its turn.
func choose(d device, r row, dev string) []Port {
	ports := make([]Port, 0, len(d.interfaces))
	for _, i := range d.interfaces {
		if i.tty != "" {
			ports = append(ports, Port{Device: filepath.Join(dev, i.tty), Interface: i.number, Use: Silent})
		}
	}
	rank := 0
	give := func(number int, use Use) {
		for k := range ports {
			if ports[k].Interface == number && ports[k].rank == 0 {
				rank++
				ports[k].Use, ports[k].rank = use, rank
			}
		}
	}
	if r.how == 0 && d.vendor == huawei {
		r.how = byProtocol
	}
	switch r.how {
	case byNumber:
		for _, n := range r.listed {
			give(n, Commands)
		}
		for _, n := range r.others {
			give(n, Perhaps)
		}
	case byProtocol:
		chooseByProtocol(d, give)
	}
	// Not established; or a Huawei of the years before the protocol numbers,
	// or with other interfaces than the table knows (field-notes §1.1.3). For
	// other makers a known composition without its AT port has none.
	if r.how == byAsking || r.how == 0 || r.how == notYet || rank == 0 && d.vendor == huawei {
		for _, n := range askingOrder(d) {
			give(n, Perhaps)
		}
	}
	return ports
}

const huawei = "12d1"

func chooseByProtocol(d device, give func(number int, use Use)) {
	for _, use := range []Use{Commands, Perhaps} {
		for _, i := range d.interfaces {
			if i.class != 0xff || huaweiProtocols[i.proto] != use {
				continue
			}
			if use == Perhaps && !slices.ContainsFunc(d.interfaces, func(i iface) bool { return huaweiProtocols[i.proto] == Commands }) {
				return // no protocol for AT at all: all ports are asked, in their order
			}
			give(i.number, use)
		}
	}
}

// askingOrder lists the serial interfaces that may be asked. Huawei puts the
// AT port last; with others it is the one with an interrupt endpoint, and
// diagnostics come first. Known diagnostics and GPS are not asked.
func askingOrder(d device) []int {
	var first, rest []int
	for _, i := range slices.Backward(d.interfaces) {
		switch {
		case i.tty == "", d.vendor == huawei && i.class == 0xff && huaweiProtocols[i.proto] == Silent:
		case i.interrupt && d.vendor != huawei:
			first = append(first, i.number)
		default:
			rest = append(rest, i.number)
		}
	}
	slices.Reverse(first) // the lowest with an interrupt endpoint, as usb_modeswitch's link has it
	return append(first, rest...)
}
