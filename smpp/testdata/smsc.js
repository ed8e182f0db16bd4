// An SMSC on npm's smpp: written by others, with receipts that carry the
// sequence numbers of submits in flight. It prints its port, and a summary
// when its input ends.
'use strict';
const smpp = require('smpp');

const accepted = new Map(); // recipient and text → how often
let submits = 0, acknowledged = 0, refused = 0, next = 0;

function deliver(session, submit, id) {
  const text = submit.short_message.message;
  const receipt = {
    source_addr_ton: 1, source_addr_npi: 1, source_addr: submit.destination_addr,
    destination_addr_ton: 5, destination_addr: submit.source_addr,
    esm_class: 4,
    short_message: 'id:' + id + ' sub:001 dlvrd:001 submit date:2611241000 done date:2611241001 stat:DELIVRD err:000 text:' + text.slice(0, 20),
  };
  // Two of three carry the number of the submit they are about, which is
  // still in flight for those that go before its answer.
  if (next % 3 !== 0) receipt.sequence_number = submit.sequence_number;
  session.deliver_sm(receipt, (answer) => {
    if (answer.command_status === 0) { acknowledged++; return; }
    refused++;
    setTimeout(() => deliver(session, submit, id), 50);
  });
}

const server = smpp.createServer((session) => {
  session.sequence = 0x40000000; // or its own numbers would collide with the borrowed ones
  session.on('error', () => session.destroy());
  session.on('bind_transceiver', (pdu) => session.send(pdu.response({ system_id: 'npm' })));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    submits++;
    const key = pdu.destination_addr + ' ' + pdu.short_message.message;
    accepted.set(key, (accepted.get(key) || 0) + 1);
    const id = (0x10000000 + ++next).toString(16).toUpperCase();
    const decimal = String(0x10000000 + next);
    if (next % 2 === 0) deliver(session, pdu, decimal);
    session.send(pdu.response({ message_id: id }));
    if (next % 2 === 1) deliver(session, pdu, decimal);
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => {
  const twice = [...accepted.values()].filter((n) => n !== 1).length;
  console.log(JSON.stringify({ submits, different: accepted.size, twice, acknowledged, refused }));
  process.exit(0);
});
process.stdin.resume();
