import { PROXY_FOLDER } from './sandbox-view.js'

/** The relay's text travels in this variable; it takes it out of the environment. */
export const RELAY_VARIABLE = 'CC_EXECUTOR_RELAY'
const RELAY_PORT = 3128
export const PROXY_SOCKET = 'proxy.sock'

/**
 * Within a run that has no network: a port of its own loopback, behind which stands the worker's proxy. Most programs
 * speak to a proxy by TCP only. It listens before the warden is started, so that the first program finds it.
 * perl without modules is up in 3 ms and takes 6 MB; it is the run's own user's, who can only harm the run with it.
 */
export const RELAY = String.raw`
use strict;
my ($port, $path, @command) = @ARGV;
$SIG{PIPE} = 'IGNORE';
socket(my $listener, 2, 1, 0) or die "socket: $!\n";
setsockopt($listener, 1, 2, pack 'i', 1);
bind($listener, pack 'S n C4 x8', 2, $port, 127, 0, 0, 1) or die "bind: $!\n";
listen($listener, 128) or die "listen: $!\n";
my $own = $$;
my $pid = fork;
defined $pid or die "fork: $!\n";
if ($pid) { $SIG{PIPE} = 'DEFAULT'; exec { $command[0] } @command or die "$command[0]: $!\n" }

# The warden's descriptors and the program's are none of its own: whoever holds them open keeps their readers waiting.
open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
for my $fd (3 .. 15) { next if $fd == fileno $listener; my $inherited; open($inherited, '<&=', $fd) and close $inherited }
my (%peer, %out, %ended, %handle, %reads);
sub drop {
  my @both = ($_[0], $peer{$_[0]});
  for my $fd (@both) {
    next unless defined $fd;
    close $handle{$fd} if $handle{$fd};
    delete $_->{$fd} for \(%handle, %out, %ended, %reads, %peer);
  }
}
sub pair {
  my ($fd, $handle, $other) = @_;
  ($handle{$fd}, $peer{$fd}, $out{$fd}, $reads{$fd}, $ended{$fd}) = ($handle, $other, '', 1, 0);
  fcntl $handle, 4, 2048; # does not wait
}
while (1) {
  my ($r, $w) = ('', '');
  vec($r, fileno $listener, 1) = 1;
  for my $fd (keys %handle) {
    vec($r, $fd, 1) = 1 if $reads{$fd} && length $out{$peer{$fd}} < 262144;
    vec($w, $fd, 1) = 1 if length $out{$fd};
  }
  my $count = select $r, $w, undef, 2;
  # A worker that dies while bubblewrap starts may leave it without its end; then nothing but this would hold the rest.
  exit if getppid != $own;
  next if $count <= 0;
  my $client;
  if (vec($r, fileno $listener, 1) && accept($client, $listener)) {
    my $server;
    if (socket($server, 1, 1, 0) && connect($server, pack 'S a108', 1, $path)) {
      pair(fileno $client, $client, fileno $server);
      pair(fileno $server, $server, fileno $client);
    }
  }
  for my $fd (keys %handle) {
    next unless $handle{$fd} && vec($r, $fd, 1) && $reads{$fd};
    my $count = sysread $handle{$fd}, my $bytes, 65536;
    if (!defined $count) { drop($fd) unless $! == 11 || $! == 4; next }
    if ($count) { $out{$peer{$fd}} .= $bytes } else { $reads{$fd} = 0; $ended{$peer{$fd}} = 1 }
  }
  for my $fd (keys %handle) {
    next unless $handle{$fd};
    if (length $out{$fd}) {
      my $count = syswrite $handle{$fd}, $out{$fd};
      if (defined $count) { substr($out{$fd}, 0, $count) = '' } elsif ($! != 11 && $! != 4) { drop($fd); next }
    }
    if (!length $out{$fd} && $ended{$fd} == 1) { shutdown $handle{$fd}, 1; $ended{$fd} = 2; drop($fd) if $ended{$peer{$fd}} == 2 }
  }
}
`

/** What starts the relay and then becomes the command that follows. */
export function toRelayCommand(perl: string): string[] {
  return [
    perl,
    '-e',
    `eval delete $ENV{${RELAY_VARIABLE}}; print STDERR $@; exit 125`,
    String(RELAY_PORT),
    `${PROXY_FOLDER}/${PROXY_SOCKET}`,
  ]
}
