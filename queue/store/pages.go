package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// bbolt trusts its file: a wrong page number, a cut-off file or a wild length
// is a panic, at open even one in a goroutine of bbolt's own where nobody can
// recover it. So the pages are looked at before bbolt sees them, with bounds
// checked and on a goroutine of ours. The layout is the one of bbolt 1.5 (file format 2):
//
//	page:   id 8, flags 2, count 2, overflow 4, then count elements
//	branch: pos 4, key size 4, page 8
//	leaf:   flags 4, pos 4, key size 4, value size 4; the value follows its key
//	bucket: root page 8, sequence 8; root 0: one leaf page follows right here
//	header: magic 4, version 4, page size 4, flags 4, root bucket 16,
//	        free list 8, pages in use 8, transaction 8, FNV-64a of the above 8
//	free:   count numbers of pages, 8 each; count 0xFFFF: the first is the count
//
// pos counts from the start of its element. Integers are in the machine's
// order: a file does not move between machines of different order.
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16

	branchPage = 0x01
	leafPage   = 0x02
	freePage   = 0x10

	bucketFlag = 0x01

	headerMagic   = 0xED0CDAED
	headerVersion = 2
	headerSum     = 56 // offset of the checksum

	noFreeList = math.MaxUint64
)

var order = binary.NativeEndian

// header is one of the two headers of a file. The valid one with the higher
// transaction counts.
type header struct {
	root        uint64 // page of the root bucket
	free        uint64 // page of the list of free pages; noFreeList: there is none
	high        uint64 // pages at and above are not in use
	transaction uint64
}

// headers reads both headers. bad says how many cannot be read: one is what a
// power cut in the middle of a commit may leave.
func headers(r io.ReaderAt) (h header, bad int, err error) {
	buf := make([]byte, pageSize)
	for page := range int64(2) {
		n, err := r.ReadAt(buf, page*pageSize)
		if err != nil && err != io.EOF {
			return h, 2, err
		}
		one, ok := parseHeader(buf[:n])
		switch {
		case !ok:
			bad++
		case one.transaction >= h.transaction:
			h = one
		}
	}
	return h, bad, nil
}

func parseHeader(page []byte) (h header, ok bool) {
	if len(page) < pageHeader+headerSum+8 {
		return h, false
	}
	b := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:headerSum])
	if order.Uint32(b) != headerMagic || order.Uint32(b[4:]) != headerVersion ||
		order.Uint32(b[8:]) != pageSize || order.Uint64(b[headerSum:]) != sum.Sum64() {
		return h, false
	}
	return header{root: order.Uint64(b[16:]), free: order.Uint64(b[32:]), high: order.Uint64(b[40:]), transaction: order.Uint64(b[48:])}, true
}

// pages walks the pages that a header reaches.
type pages struct {
	data []byte // those in use
	seen []bool
}

// checkPages looks at every page below root, and at the list of free pages if
// there is one, and returns what is wrong with the first that bbolt would
// stumble over.
func checkPages(data []byte, root, free uint64) error {
	p := &pages{data: data, seen: make([]bool, len(data)/pageSize)}
	if err := p.tree(root, nil, nil); err != nil || free == noFreeList {
		return err
	}
	if err := p.freeList(free); err != nil {
		return fmt.Errorf("page %d: %w", free, err)
	}
	return nil
}

// tree checks the page id and all below it. Its keys must lie in [low, end);
// nil is no bound.
func (p *pages) tree(id uint64, low, end []byte) error {
	page, err := p.read(id)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	flags, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	switch flags {
	case leafPage:
		if err := p.leaf(page, count, low, end); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		return nil
	case branchPage:
		return p.branch(id, page, count, low, end)
	}
	return fmt.Errorf("page %d: not a page of a table (kind %#x)", id, flags)
}

func (p *pages) branch(id uint64, page []byte, count int, low, end []byte) error {
	if count == 0 || pageHeader+count*pageElement > len(page) {
		return fmt.Errorf("page %d: %d entries cannot be", id, count)
	}
	key := func(i int) ([]byte, error) {
		at := pageHeader + i*pageElement
		return cut(page, at, order.Uint32(page[at:]), order.Uint32(page[at+4:]))
	}
	first, err := key(0)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if bytes.Compare(first, low) < 0 {
		return fmt.Errorf("page %d: keys out of order", id)
	}
	for i, k := 0, first; i < count; i++ {
		next := end
		if i+1 < count {
			if next, err = key(i + 1); err != nil {
				return fmt.Errorf("page %d: %w", id, err)
			}
		}
		if next != nil && bytes.Compare(k, next) >= 0 {
			return fmt.Errorf("page %d: keys out of order", id)
		}
		child := order.Uint64(page[pageHeader+i*pageElement+8:])
		if err := p.tree(child, k, next); err != nil {
			return err
		}
		k = next
	}
	return nil
}

func (p *pages) leaf(page []byte, count int, low, end []byte) error {
	if pageHeader+count*pageElement > len(page) {
		return fmt.Errorf("%d entries cannot be", count)
	}
	for i := range count {
		at := pageHeader + i*pageElement
		flags, pos := order.Uint32(page[at:]), order.Uint32(page[at+4:])
		size := order.Uint32(page[at+8:])
		key, err := cut(page, at, pos, size)
		if err != nil {
			return err
		}
		value, err := cut(page, at, pos+size, order.Uint32(page[at+12:]))
		if err != nil {
			return err
		}
		if c := bytes.Compare(low, key); c > 0 || i > 0 && c == 0 || end != nil && bytes.Compare(key, end) >= 0 {
			return fmt.Errorf("keys out of order")
		}
		low = key
		if flags&bucketFlag == 0 {
			continue
		}
		if err := p.bucket(value); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return nil
}

func (p *pages) bucket(value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("a table without a header")
	}
	if root := order.Uint64(value); root != 0 {
		return p.tree(root, nil, nil)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafPage {
		return fmt.Errorf("a table without a page")
	}
	return p.leaf(inline, int(order.Uint16(inline[10:])), nil, nil)
}

// freeList checks that no page which is said to be free is in use: bbolt would
// write over it.
func (p *pages) freeList(id uint64) error {
	page, err := p.read(id)
	if err != nil {
		return err
	}
	if order.Uint16(page[8:]) != freePage {
		return fmt.Errorf("not the list of free pages")
	}
	list, count := page[pageHeader:], uint64(order.Uint16(page[10:]))
	if count == math.MaxUint16 {
		list, count = list[8:], order.Uint64(list)
	}
	if count > uint64(len(list)/8) {
		return fmt.Errorf("%d entries cannot be", count)
	}
	for n := range count {
		free := order.Uint64(list[n*8:])
		if free < 2 || free >= uint64(len(p.seen)) || p.seen[free] {
			return fmt.Errorf("page %d is said to be free", free)
		}
		p.seen[free] = true
	}
	return nil
}

// read returns page id with the pages that continue it.
func (p *pages) read(id uint64) ([]byte, error) {
	high := uint64(len(p.seen))
	if id < 2 || id >= high {
		return nil, fmt.Errorf("beyond the %d pages in use", high)
	}
	page := p.data[id*pageSize:]
	if self := order.Uint64(page); self != id {
		return nil, fmt.Errorf("it says it is page %d", self)
	}
	more := uint64(order.Uint32(page[12:]))
	if more >= high-id {
		return nil, fmt.Errorf("it goes on beyond the %d pages in use", high)
	}
	for n := range more + 1 {
		if p.seen[id+n] {
			return nil, fmt.Errorf("in use twice")
		}
		p.seen[id+n] = true
	}
	return page[:(more+1)*pageSize], nil
}

// cut returns size bytes of page, pos bytes after at.
func cut(page []byte, at int, pos, size uint32) ([]byte, error) {
	from := uint64(at) + uint64(pos)
	if from+uint64(size) > uint64(len(page)) {
		return nil, fmt.Errorf("an entry reaches beyond the page")
	}
	return page[from : from+uint64(size)], nil
}
