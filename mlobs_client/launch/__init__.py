"""Start one i-PI and its clients, watch them, and stop them cleanly; and many of these.

``address`` frees what dead servers left behind, ``processes`` are children with a log,
``ending`` reads how i-PI ended, ``progress`` how far it is, and ``local`` joins these.

``campaign`` says which runs there are, from ``campaign_file`` and ``campaign_template``;
``campaign_state`` what is known of each, ``campaign_run`` carries out one of them and
``campaign_parsl`` all; ``campaign_results`` makes one table.
"""
